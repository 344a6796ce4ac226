"""How values from outside stand in an error message: on one line, and short."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_CHARACTERS = 80
_MOST_NAMES = 6
_MOST_OF_AN_ERROR = 300


def shown(value: object) -> str:
    """`repr(value)` on one line, cut after 80 characters.

    >>> shown("a" * 100)[-6:]
    'aaa...'
    """
    if isinstance(value, int) and abs(value) > 10**30:  # repr of a whole number with thousands of digits raises
        return f"a whole number of {value.bit_length():,} bits"
    try:
        told = " ".join(repr(value).split())
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"
    return told if len(told) <= _MOST_CHARACTERS else told[: _MOST_CHARACTERS - 3] + "..."


def shortened(error: BaseException) -> str:
    """What `error` says, on one line and cut after 300 characters: for the message of another error.

    >>> shortened(ValueError("two\\nlines"))
    'two lines'
    """
    told = " ".join(str(error).split())
    told = told if told.isprintable() else repr(told)[1:-1]
    return told if len(told) <= _MOST_OF_AN_ERROR else told[: _MOST_OF_AN_ERROR - 3] + "..."


def listed(names: Sequence[str]) -> str:
    """Up to six names in brackets, and how many more there are.

    >>> listed(["a", "b"]), listed("abcdefgh")
    ("['a', 'b']", "['a', 'b', 'c', 'd', 'e', 'f'] and 2 more")
    """
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return "[" + ", ".join(shown(name) for name in names[:_MOST_NAMES]) + "]" + more
