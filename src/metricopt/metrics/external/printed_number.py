"""The one number that a program prints last."""

from __future__ import annotations

import re

# Not whatever float() takes: that would be 1_0, and digits of other scripts. Each part is matched in one way only, so
# that a long line of digits costs linear time.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf(?:inity)?)", re.IGNORECASE | re.ASCII
)
_LINE_END = re.compile(r"[\r\n]+")


def printed_number(text: str, *, cut: bool = False) -> float | None:
    r"""The number that is the last line of `text`; blank lines after it do not count.

    What stands in the lines before is not looked at. A carriage return ends a line too, as progress bars want it.
    "nan" and "inf" are numbers here: whoever asked decides what they are worth.

    Args:
        text: what was printed, or the end of it.
        cut: whether the beginning of `text` was lost; its first line is then not a whole one.

    Returns:
        None where the last line is anything else than one number.

    >>> printed_number("reading 4 rows\nF1:\n0.25\n\n")
    0.25
    >>> printed_number("F1: 0.25") is None, printed_number("0,25") is None, printed_number("") is None
    (True, True, True)
    """
    lines = _LINE_END.split(text)
    if cut:
        lines = lines[1:]
    filled = [line.strip() for line in lines if line.strip()]
    return float(filled[-1]) if filled and _NUMBER.fullmatch(filled[-1]) else None
