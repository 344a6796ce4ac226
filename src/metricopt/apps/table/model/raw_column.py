"""Columns as they come: numbers, dates or text, out of a pandas DataFrame or a NumPy array."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...._errors import DataError

#: "empty" is a column in which every value is missing; it goes with any kind.
Kind: TypeAlias = Literal["number", "date", "category", "empty"]

#: What a category may hold beside text.
Beside: TypeAlias = Literal["number", "date"]

Numbers: TypeAlias = NDArray[np.float64]
Objects: TypeAlias = NDArray[np.object_]

#: A date as a number is days since 1970.
_MICROSECONDS_OF_A_DAY = 86_400e6


@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """One column before it is encoded.

    Args:
        name: of the column.
        kind: what it holds.
        numbers: `(N,)` float64 with NaN for missing; of numbers, and of dates as days since 1970.
        objects: `(N,)` the values themselves with None for missing, where the column came as Python objects.
    """

    name: str
    kind: Kind
    numbers: Numbers | None = field(default=None, repr=False)
    objects: Objects | None = field(default=None, repr=False)

    def texts(self) -> list[str | None]:
        """The values as text, None for missing: 3 and 3.0 are both "3"."""
        if self.objects is not None:
            return [None if value is None else text_of(value) for value in self.objects]
        assert self.numbers is not None
        return [None if np.isnan(number) else text_of(number) for number in self.numbers]

    def beside_text(self) -> tuple[Beside, ...]:
        """Which other kinds of values a category holds."""
        assert self.objects is not None
        types = {type(value) for value in self.objects if value is not None}
        found: dict[Beside, bool] = {"number": any(map(_is_number, types)), "date": any(map(_is_date, types))}
        return tuple(kind for kind, there in found.items() if there)

    def example(self, *, no_number: bool = False) -> str:
        """One value for an error message; with `no_number` one that is no number, and its row."""
        for at, text in enumerate(self.texts()):
            if text is not None and not (no_number and reads_as_number(text)):
                return f"{text!r} in row {at + 1}" if no_number else repr(text)
        return "nothing" if not no_number else self.example()


def is_frame(table: object) -> bool:
    """Whether it is a pandas DataFrame or behaves like one; nothing is imported."""
    return all(hasattr(table, name) for name in ("columns", "iloc", "dtypes"))


def column_names(table: Any) -> list[str]:
    """The names of the columns: those of a DataFrame as text, else x0, x1, ...

    Raises:
        DataError: not two-dimensional, or two columns with one name.
    """
    if not is_frame(table):
        return [f"x{i}" for i in range(_as_array(table).shape[1])]
    names = [str(name) for name in table.columns]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise DataError(f"the table has several columns named {', '.join(double)}; give every column a name of its own")
    return names


def raw_columns(table: Any) -> Iterator[RawColumn]:
    """The columns of a DataFrame, or of a two-dimensional array of numbers or of mixed objects.

    Numbers in a column of objects make it a column of numbers, dates one of dates; anything else is text.

    Raises:
        DataError: not two-dimensional, complex numbers, or infinite values.

    >>> [column.kind for column in raw_columns(np.array([[1, "a"], [2.5, None]], dtype=object))]
    ['number', 'category']
    """
    names = column_names(table)
    array = None if is_frame(table) else _as_array(table)
    for i, name in enumerate(names):
        yield _column(name, table.iloc[:, i]) if array is None else _column(name, array[:, i])


def text_of(value: object) -> str:
    """A level of a category as text: whole numbers without a point, everything else as `str` gives it.

    >>> text_of(3.0), text_of(0.5), text_of("a")
    ('3', '0.5', 'a')
    """
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_array(table: Any) -> NDArray[Any]:
    array = table if isinstance(table, np.ndarray) else None
    if array is None or array.ndim != 2:
        shape = f"an array of shape {array.shape}" if array is not None else type(table).__name__
        raise DataError(f"a table is a pandas DataFrame or a two-dimensional NumPy array, got {shape}")
    return array


def _column(name: str, values: Any) -> RawColumn:
    """`values` is a pandas Series or a one-dimensional array."""
    kind = getattr(values.dtype, "kind", "O")
    declared = str(values.dtype) == "category"
    if kind == "c":
        raise DataError(f"column {name!r} holds complex numbers. Complex data not supported; give two real columns")
    if kind in "biuf" and not declared:
        return _numbers(name, _floats(values))
    if kind in "Mm":
        return _dates(name, values)
    return _objects_column(name, np.asarray(values, dtype=object), declared)


def _floats(values: Any) -> Numbers:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _numbers(name: str, numbers: Numbers, kind: Kind = "number", objects: Objects | None = None) -> RawColumn:
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise DataError(
            f"column {name!r} contains infinity or a value too large: {infinite} of {len(numbers)} values are "
            "infinite; replace them by a finite number, or by NaN for missing"
        )
    empty = bool(np.isnan(numbers).all())
    return RawColumn(name=name, kind="empty" if empty else kind, numbers=numbers, objects=objects)


def _dates(name: str, values: Any, objects: Objects | None = None) -> RawColumn:
    """Dates in UTC and durations, both as days."""
    unit = "datetime64[us]" if values.dtype.kind == "M" else "timedelta64[us]"
    array = values.astype(unit) if isinstance(values, np.ndarray) else values.to_numpy(dtype=unit)
    days = array.astype(np.int64) / _MICROSECONDS_OF_A_DAY
    days[np.isnat(array)] = np.nan
    return _numbers(name, days, "date", objects)


def _objects_column(name: str, values: Objects, declared: bool) -> RawColumn:
    """A column of Python objects: the values themselves say what they are, unless it is declared a category."""
    missing = np.fromiter(map(is_missing, values), dtype=bool, count=len(values))
    objects = values.copy()
    objects[missing] = None
    there = values[~missing]
    types = set(map(type, there))
    if not types:
        return RawColumn(name=name, kind="empty", numbers=np.full(len(values), np.nan), objects=objects)
    if all(map(_is_number, types)) and not declared:
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = [float(value) for value in there]
        return _numbers(name, numbers, objects=objects)
    if all(map(_is_date, types)) and not declared:
        dates = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
        dates[~missing] = [np.datetime64(_without_zone(value), "us") for value in there]
        return _dates(name, dates, objects)
    return RawColumn(name=name, kind="category", objects=objects)


def _is_number(kind: type) -> bool:
    return issubclass(kind, Real | Decimal | np.bool_)


def _is_date(kind: type) -> bool:
    return issubclass(kind, datetime.date | np.datetime64)


def _without_zone(value: Any) -> Any:
    """A date as it is; a time with a zone as the same moment in UTC, since NumPy knows no zones."""
    zone = getattr(value, "tzinfo", None)
    return value if zone is None else value.astimezone(datetime.UTC).replace(tzinfo=None)


def is_missing(value: object) -> bool:
    """None, NaN, pandas' NaT and NA."""
    if isinstance(value, str):
        return False
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, Real | Decimal) and math.isnan(value)
