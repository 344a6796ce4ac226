"""Checks that turn what a report is given into plain finite Python values, each naming its field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from .._errors import ConfigError

#: Longest text of one field; what is shown is elided far earlier.
MAX_TEXT = 10_000
#: Largest whole number that a float, and so JavaScript, holds exactly.
MAX_COUNT = 2**53
#: Largest size of a number: differences and sums of such numbers never overflow.
MAX_SIZE = 1e100


class Setter:
    """Puts checked values into a frozen dataclass while it is made."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __call__(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self._target, name, value)


def text(name: str, value: Any) -> str:
    """A string of at most `MAX_TEXT` characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        got = f"{len(value):,} characters" if isinstance(value, str) else _short(value)
        raise ConfigError(f"{name} must be a string of at most {MAX_TEXT:,} characters, got {got}")
    return str(value)


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {_short(value)}")
    return value


def number(name: str, value: Any) -> float:
    """A finite float; a NumPy number counts, a truth value or a tensor does not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{name} must be a plain number, got {_short(value)}; turn tensors into numbers with .item()")
    try:
        plain = float(value)
    except OverflowError:
        plain = math.inf
    if not abs(plain) <= MAX_SIZE:  # NaN too
        raise ConfigError(
            f"{name} must be a finite number of size at most {MAX_SIZE:g}, got {_short(value)}; "
            "leave out what is not defined"
        )
    return plain


def count(name: str, value: Any) -> int:
    """A whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) <= MAX_COUNT:
        raise ConfigError(f"{name} must be a whole number of at least 0, got {_short(value)}")
    return int(value)


def several(name: str, value: Any, most: int) -> tuple[Any, ...]:
    """A sequence of at most `most` things as a tuple; text is not a sequence here."""
    array = getattr(value, "ndim", 0) > 0
    if isinstance(value, str | bytes | Mapping) or not (isinstance(value, Sequence) or array):
        raise ConfigError(f"{name} must be a sequence, got {_short(value)}; pass a tuple or a list")
    if len(value) > most:
        raise ConfigError(f"{name} must hold at most {most:,} entries, got {len(value):,}; leave some out")
    return tuple(value)


def numbers(name: str, value: Any, most: int) -> tuple[float, ...]:
    return tuple(number(f"{name}[{at}]", entry) for at, entry in enumerate(several(name, value, most)))


def counts(name: str, value: Any, most: int) -> tuple[int, ...]:
    return tuple(count(f"{name}[{at}]", entry) for at, entry in enumerate(several(name, value, most)))


def texts(name: str, value: Any, most: int) -> tuple[str, ...]:
    return tuple(text(f"{name}[{at}]", entry) for at, entry in enumerate(several(name, value, most)))


def parts(name: str, value: Any, kind: type, most: int) -> tuple[Any, ...]:
    """A sequence of objects of one class."""
    found = several(name, value, most)
    for at, entry in enumerate(found):
        if not isinstance(entry, kind):
            raise ConfigError(f"{name}[{at}] must be a {kind.__name__}, got {_short(entry)}")
    return found


def mapping(name: str, value: Any, most: int) -> dict[str, Any]:
    """A mapping from text to anything, as a dict of its own."""
    if not isinstance(value, Mapping) or len(value) > most:
        got = f"{len(value):,} entries" if isinstance(value, Mapping) else _short(value)
        raise ConfigError(f"{name} must be a mapping of at most {most} entries, got {got}")
    return {text(f"a name in {name}", key): entry for key, entry in value.items()}


def _short(value: Any) -> str:
    shown = f"{value:.3g}" if isinstance(value, float) else repr(value) if not isinstance(value, int) else _whole(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _whole(value: int) -> str:
    # str() of an int with thousands of digits raises
    return repr(value) if abs(value) < 10**30 else f"a whole number of {value.bit_length():,} bits"
