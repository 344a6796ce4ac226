"""The last part of what a program said, in bounded memory."""

from __future__ import annotations

from typing import final

#: How much of the end of a text an error message shows.
_LINES = 8
_LINE_LENGTH = 200


@final
class Tail:
    """Takes bytes without end and keeps the last `limit` of them.

    >>> tail = Tail(limit=5)
    >>> tail.add(b"first, ")
    >>> tail.add(b"last")
    >>> tail.text, tail.cut
    (' last', True)
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.cut = False

    def add(self, more: bytes) -> None:
        self._kept += more
        beyond = len(self._kept) - self._limit
        if beyond > 0:
            del self._kept[:beyond]
            self.cut = True

    @property
    def text(self) -> str:
        """What is kept, read as UTF-8; bytes that are none become U+FFFD."""
        return self._kept.decode("utf-8", errors="replace")


def quoted(text: str) -> str:
    r"""The last lines of `text` as they can stand in an error message: short, indented, nothing that steers a terminal.

    >>> quoted("one\n\x1b[31mtwo\n\n")
    '\n    one\n    ?[31mtwo'
    >>> quoted(" \n")
    ' nothing'
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if not lines:
        return " nothing"
    return "".join(f"\n    {printable(line)}" for line in lines[-_LINES:])


def printable(line: str) -> str:
    """One line without control characters, cut at a length that can still be read."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in line)
    return shown if len(shown) <= _LINE_LENGTH else shown[: _LINE_LENGTH - 3] + "..."
