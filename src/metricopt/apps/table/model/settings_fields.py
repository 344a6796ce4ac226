"""Saved settings, read strictly: every field there, of its type, and no other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from ...._errors import CheckpointError
from ....runtime import listed


@final
class Fields:
    """The fields of one JSON object; anything unexpected raises a CheckpointError that names it.

    Args:
        value: what was read from the file.
        what: what it describes, for messages.
        names: the fields that it must have, all of them and no other.

    >>> Fields({"width": 3}, "a layer", ("width",)).integer("width", least=1)
    3
    """

    def __init__(self, value: object, what: str, names: tuple[str, ...]) -> None:
        self.what = what
        if not isinstance(value, Mapping) or set(value) != set(names):
            got = listed(sorted(map(str, value))) if isinstance(value, Mapping) else type(value).__name__
            raise CheckpointError(f"{what} must have the fields {', '.join(names)}; got {got}. Save it again.")
        self._values = value

    def wrong(self, name: str, wanted: str) -> CheckpointError:
        """The error for a field that holds something else than `wanted`."""
        text = repr(self._values[name])
        short = text if len(text) <= 60 else text[:57] + "..."
        return CheckpointError(f"{name!r} of {self.what} must be {wanted}, got {short}. Save it again.")

    def text(self, name: str) -> str:
        value = self._values[name]
        if not isinstance(value, str):
            raise self.wrong(name, "text")
        return value

    def flag(self, name: str) -> bool:
        value = self._values[name]
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def integer(self, name: str, *, least: int) -> int:
        value = self._values[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(name, f"a whole number of at least {least}")
        return value

    def number(self, name: str) -> float:
        if not _is_number(self._values[name]):
            raise self.wrong(name, "a finite number")
        return float(self._values[name])

    def numbers(self, name: str) -> tuple[float, ...]:
        return tuple(float(value) for value in self._list(name, _is_number, "a list of finite numbers"))

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._list(name, lambda value: isinstance(value, str), "a list of texts"))

    def integers(self, name: str, *, least: int) -> tuple[int, ...]:
        wanted = f"a list of whole numbers of at least {least}"
        return tuple(self._list(name, lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least, wanted))

    def items(self, name: str) -> list[Any]:
        return self._list(name, lambda value: True, "a list")

    def value(self, name: str) -> Any:
        """Whatever the field holds; its reader checks it."""
        return self._values[name]

    def _list(self, name: str, good: Any, wanted: str) -> list[Any]:
        values = self._values[name]
        if not isinstance(values, list | tuple) or not all(good(value) for value in values):
            raise self.wrong(name, wanted)
        return list(values)


def _is_number(value: object) -> bool:
    # An integer beyond the range of a float is no number here, and float() of it would raise.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
