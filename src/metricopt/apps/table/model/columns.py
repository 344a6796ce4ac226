"""How one column becomes numbers that a network can learn from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal, final

import numpy as np
from numpy.typing import NDArray

from ...._errors import ConfigError, DataError
from ...._typed import Count, Least, Typed
from .raw_column import Beside, Numbers, RawColumn

Encoded = NDArray[np.float32]

#: Where the smooth clip levels off, in interquartile ranges.
_BEND = 3.0
#: Beyond this a value is at the end of the smooth clip anyway; it keeps infinity out of the formula.
_FAR = 1e6


@dataclass(frozen=True, kw_only=True)
class Column(Typed, ABC):
    """What was learned about one column from the training rows. Subclasses are final; their fields are saved."""

    name: str

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The names of the encoded columns; empty where the column is constant."""

    @abstractmethod
    def encode(self, raw: RawColumn) -> Encoded:
        """`(N, len(labels))`; raises DataError where the column holds another kind of values than before."""

    def _wrong_kind(self, wanted: str, raw: RawColumn) -> DataError:
        held = {"number": "numbers", "date": "dates", "category": "text"}[raw.kind]
        return DataError(
            f"column {self.name!r} held {wanted} when the encoder was fitted, now it holds {held} such as "
            f"{raw.example(no_number=raw.kind == 'category' and wanted == 'numbers')}; convert the column, or fit again"
        )


@final
@dataclass(frozen=True, kw_only=True)
class NumberColumn(Column):
    """Numbers or dates: `u = (x - center) * rate`, then `u / sqrt(1 + (u / 3)^2)`; missing values become the center.

    The center is the median and the rate one over the interquartile range, so that a few wild values do not squeeze
    all others together; the smooth clip holds them within -3 and 3. Where the middle half of the values is one number,
    the rate is two over the range, and 0 in a constant column.

    Args:
        center: what is subtracted, and what stands in for a missing value.
        rate: what is multiplied; 0 drops the values.
        marks_missing: whether a second column says where a value is missing: where some training rows lacked one.
        kind: whether the values are numbers or dates.
    """

    center: float
    rate: Annotated[float, Least(0)]
    marks_missing: bool
    kind: Literal["number", "date"] = "number"

    @classmethod
    def fit(cls, raw: RawColumn) -> NumberColumn:
        assert raw.numbers is not None
        there = raw.numbers[~np.isnan(raw.numbers)]
        if not len(there):
            return cls(name=raw.name, center=0.0, rate=0.0, marks_missing=False)
        low, first, center, third, high = (float(q) for q in np.quantile(there, [0, 0.25, 0.5, 0.75, 1]))
        return cls(
            name=raw.name,
            center=center,
            rate=_one_over(third - first) or 2 * _one_over(high - low),
            marks_missing=len(there) < len(raw.numbers),
            kind="date" if raw.kind == "date" else "number",
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return ((self.name,) if self.rate else ()) + ((f"{self.name} is missing",) if self.marks_missing else ())

    def encode(self, raw: RawColumn) -> Encoded:
        if raw.kind not in ("empty", self.kind):
            raise self._wrong_kind(f"{self.kind}s", raw)
        assert raw.numbers is not None
        missing = np.isnan(raw.numbers)
        columns = [self._scaled(np.where(missing, self.center, raw.numbers))] if self.rate else []
        columns += [missing.astype(np.float64)] if self.marks_missing else []
        return np.stack(columns, axis=1).astype(np.float32) if columns else _nothing(len(missing))

    def value_of(self, encoded: float) -> float:
        """The number that is encoded so."""
        return self.center + encoded / math.sqrt(1 - (encoded / _BEND) ** 2) / self.rate

    def _scaled(self, numbers: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            units = np.clip((numbers - self.center) * self.rate, -_FAR, _FAR)
        return np.asarray(units / np.sqrt(1 + (units / _BEND) ** 2))


@final
@dataclass(frozen=True, kw_only=True)
class CategoryColumn(Column):
    """One column for each frequent level, one for the rare ones together, one for missing.

    A level that the training rows did not have counts as rare. Where they had no rare level, or no missing value, no
    weight was ever trained for it: such a row is then encoded as the average of the training rows.

    Args:
        levels: the frequent ones, most frequent first.
        counts: how many training rows each had.
        rare: how many training rows had another level.
        missing: how many had none.
        beside_text: which other kinds of values there were: a column that holds nothing else is welcome later on.
    """

    levels: tuple[str, ...] = field(repr=False)
    counts: tuple[Annotated[int, Least(1)], ...] = field(repr=False)
    rare: Count
    missing: Count
    beside_text: tuple[Beside, ...] = ()
    kind: Literal["category"] = "category"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.levels) != len(self.counts) or len(set(self.levels)) != len(self.levels):
            raise ConfigError(f"levels of {self.name!r} must be different texts, one for each count")

    @property
    def from_numbers(self) -> bool:
        """Whether there were numbers among the values."""
        return "number" in self.beside_text

    @classmethod
    def fit(cls, raw: RawColumn, *, max_levels: int, min_count: int) -> CategoryColumn:
        texts = raw.texts()
        tally = Counter(text for text in texts if text is not None)
        # By name where the counts are equal, so that the order of the rows does not matter.
        ordered = sorted(tally.items(), key=lambda item: (-item[1], item[0]))
        kept = [(level, count) for level, count in ordered[:max_levels] if count >= min_count]
        return cls(
            name=raw.name,
            levels=tuple(level for level, _ in kept),
            counts=tuple(count for _, count in kept),
            rare=tally.total() - sum(count for _, count in kept),
            missing=len(texts) - tally.total(),
            beside_text=raw.beside_text(),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        rare = (f"{self.name} is another",) if self.rare else ()
        missing = (f"{self.name} is missing",) if self.missing else ()
        found = (*(f"{self.name} = {level}" for level in self.levels), *rare, *missing)
        return found if len(found) > 1 else ()  # one single level is a constant

    def encode(self, raw: RawColumn) -> Encoded:
        if raw.kind in ("number", "date") and raw.kind not in self.beside_text:
            raise self._wrong_kind("text", raw)
        texts = raw.texts()
        if not self.labels:
            return _nothing(len(texts))
        known = {level: i for i, level in enumerate(self.levels)}
        rare, missing = len(self.levels), len(self.levels) + 1
        codes = [missing if text is None else known.get(text, rare) for text in texts]
        return np.asarray(self._rows[codes])

    @cached_property
    def _rows(self) -> Encoded:
        """The encoded row of every level, then of a rare one, then of a missing one."""
        counts = np.array([*self.counts, *filter(None, (self.rare, self.missing))], dtype=np.float64)
        unit, average = np.eye(len(counts)), counts / counts.sum()
        rare = unit[len(self.levels)] if self.rare else average
        missing = unit[-1] if self.missing else average
        return np.vstack([unit[: len(self.levels)], rare, missing]).astype(np.float32)


def fit_column(raw: RawColumn, *, max_levels: int, min_count: int) -> NumberColumn | CategoryColumn:
    """The encoding of one column, learned from training rows."""
    if raw.kind == "category":
        return CategoryColumn.fit(raw, max_levels=max_levels, min_count=min_count)
    return NumberColumn.fit(raw)


def _one_over(spread: float) -> float:
    """1 / spread, or 0 where there is no spread or its inverse is no finite number."""
    with np.errstate(over="ignore", divide="ignore"):
        inverse = float(np.float64(1.0) / np.float64(spread))
    return inverse if np.isfinite(inverse) else 0.0


def _nothing(rows: int) -> Encoded:
    return np.zeros((rows, 0), dtype=np.float32)
