"""The column that is to be predicted: classes or numbers, and why it is neither."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..._errors import ConfigError, DataError
from ...metrics.judged import Judged
from ...workload.nests import take
from .model import ClassLabels, TargetScale
from .model.raw_column import reads_as_number

Task: TypeAlias = Literal["classification", "regression"]

#: Whole numbers with at most this many different values are classes, if nobody says otherwise.
MOST_NUMBERED_CLASSES = 20
#: Numbers with no more different values than this may be classes: it is said how they are taken for some.
_FEW = 50
#: Fewer rows of a class than this leave some part of the rows without it.
LEAST_OF_A_CLASS = 10

#: So many classes with less than that many rows each are no classes.
_MANY = 50


@final
@dataclass(frozen=True, kw_only=True)
class Target:
    """What is to be predicted.

    Args:
        name: of the column.
        labels: the classes in ascending order; None in a regression.
        values: `(N,)` class numbers (int64) or numbers (float64), of the rows that have one.
        kept: `(M,)` booleans, which rows of the table these are.
        swapped: whether class 0 and 1 of two changed places, because the first one is the positive one.
        beside: what the metric alone is told of these rows, see `columns_beside`.
    """

    name: str
    labels: ClassLabels | None
    values: Tensor = field(repr=False)
    kept: NDArray[np.bool_] = field(repr=False)
    swapped: bool = False
    beside: Any = field(default=None, repr=False)

    @property
    def task(self) -> Task:
        return "regression" if self.labels is None else "classification"

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes as text in the order of `values`."""
        if self.labels is None:
            return None
        names = tuple(str(value) for value in self.labels.values)
        return names[::-1] if self.swapped else names

    @property
    def positive(self) -> str | None:
        """The class that counts as positive where there are two."""
        names = self.class_names
        return names[1] if names is not None and len(names) == 2 else None

    def beside_of(self, rows: Tensor) -> Any:
        """What the metric alone is told of these rows; None where there is nothing."""
        return None if self.beside is None else take(self.beside, rows)

    @property
    def judged_by(self) -> Any:
        """What a metric gets beside its outputs for all rows."""
        return self.values if self.beside is None else Judged(self.values, self.beside)

    def meaning(self, rows: Tensor) -> ClassLabels | TargetScale:
        """What the outputs of a network mean that is trained on `rows`."""
        return self.labels if self.labels is not None else TargetScale.fit(self.values[rows])

    def told(self) -> str:
        """One sentence."""
        if self.labels is None:
            low, high = float(self.values.min()), float(self.values.max())
            few = len(self.values.unique())
            like = (
                f" It holds {few} different ones; --task classification takes them for classes." if few <= _FEW else ""
            )
            return f"{self.name!r} holds numbers from {low:g} to {high:g}: regression.{like}"
        names = self.class_names or ()
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        positive = f", {self.positive!r} counts as positive (--positive changes it)" if self.positive else ""
        numbers = len(names) > 2 and all(map(reads_as_number, names))
        like = " --task regression takes them for numbers." if numbers else ""
        return f"{self.name!r} holds {len(names)} classes ({shown}): classification{positive}.{like}"


def settle_target(column: Any, name: str, *, task: Task | Literal["auto"], positive: str | None) -> Target:
    """What the values of a column say it is.

    Text, booleans and whole numbers with few different values are classes; other numbers make a regression.

    Args:
        column: a pandas Series.
        name: its name.
        task: "auto", or what the user says.
        positive: the class that counts as positive where there are two; None takes the last in ascending order.

    Raises:
        DataError: all values are missing or the same, or it is free text, or dates.
        ConfigError: `task` or `positive` do not go with it.
    """
    kept = ~np.asarray(column.isna(), dtype=bool)
    if not kept.any():
        raise DataError(f"the target {name!r} holds no value: all {len(kept)} rows are empty; name another column")
    if column.dtype.kind in "mM":
        raise DataError(f"the target {name!r} holds dates; name a column of classes or numbers")
    values = _plain(column[kept])
    distinct = len(set(values.tolist()))
    if distinct == 1:
        raise DataError(
            f"every row of the target {name!r} is {values.tolist()[0]!r}: there is nothing to tell apart; name "
            f"another column"
        )
    numeric = values.dtype.kind in "iuf"
    if task == "regression" or (task == "auto" and numeric and not _are_classes(values, distinct)):
        if not numeric:
            raise ConfigError(
                f"the target {name!r} holds {'text' if values.dtype.kind == 'O' else 'true and false'} such as "
                f"{values.tolist()[0]!r}, not numbers; use --task classification, or name a column of numbers"
            )
        if positive is not None:
            raise ConfigError(f"--positive names a class, but the target {name!r} holds numbers; leave it out")
        return Target(name=name, labels=None, values=_finite(values, name), kept=kept)
    _refuse_free_text(values, name, distinct, numeric)
    labels = ClassLabels.fit(values)
    codes = labels.encode(values)
    _refuse_rare_classes(codes, labels, name)
    swapped = positive is not None and _is_first(positive, labels, name)
    return Target(name=name, labels=labels, values=1 - codes if swapped else codes, kept=kept, swapped=swapped)


def _plain(column: Any) -> NDArray[Any]:
    """The values as whole numbers, numbers, booleans, or objects that are all text."""
    kind = getattr(column.dtype, "kind", "O")
    if str(column.dtype) == "category":
        return _plain(column.astype(column.cat.categories.dtype))
    if kind == "b":
        return np.asarray(column, dtype=np.bool_)
    if kind in "iuf":
        numbers = np.asarray(column, dtype=np.float64)
        whole = bool(np.isfinite(numbers).all()) and bool((numbers == np.round(numbers)).all())
        return numbers.astype(np.int64) if whole and np.abs(numbers).max() < 2**53 else numbers
    objects = np.asarray(column, dtype=object)
    if all(isinstance(value, bool | np.bool_) for value in objects):
        return objects.astype(np.bool_)
    texts = np.empty(len(objects), dtype=object)
    texts[:] = [str(value) for value in objects]
    return texts


def _are_classes(values: NDArray[Any], distinct: int) -> bool:
    return distinct == 2 or (values.dtype.kind == "i" and distinct <= MOST_NUMBERED_CLASSES)


def _finite(values: NDArray[Any], name: str) -> Tensor:
    numbers = torch.from_numpy(values.astype(np.float64))
    infinite = int((~numbers.isfinite()).sum())
    if infinite:
        raise DataError(f"the target {name!r} holds {infinite} infinite values; leave those rows out")
    return numbers


def _refuse_free_text(values: NDArray[Any], name: str, distinct: int, numeric: bool) -> None:
    if 2 * distinct <= len(values) and (distinct <= _MANY or distinct * LEAST_OF_A_CLASS <= len(values)):
        return
    what = "numbers, which are no classes: use --task regression" if numeric else "free text, not classes"
    example = str(values.tolist()[0])
    shown = example if len(example) <= 40 else example[:37] + "..."
    raise DataError(
        f"the target {name!r} holds {distinct} different values in {len(values)} rows, such as {shown!r}: {what}"
        + ("" if numeric else "; name a column with few different values")
    )


def _refuse_rare_classes(codes: Tensor, labels: ClassLabels, name: str) -> None:
    counts = torch.bincount(codes, minlength=len(labels))
    rare = [(str(labels.values[i]), int(n)) for i, n in enumerate(counts) if n < LEAST_OF_A_CLASS]
    if rare:
        told = ", ".join(f"{label!r} ({count})" for label, count in rare[:5]) + (", ..." if len(rare) > 5 else "")
        raise DataError(
            f"classes of the target {name!r} with fewer than {LEAST_OF_A_CLASS} rows: {told}; leave those rows out, "
            "join them into one class, or give more rows"
        )


def _is_first(positive: str, labels: ClassLabels, name: str) -> bool:
    """Whether `positive` is the first of two classes."""
    names = [str(value) for value in labels.values]
    if len(names) != 2:
        raise ConfigError(f"--positive is for two classes, but the target {name!r} has {len(names)}; leave it out")
    if positive not in names:
        wanted = re.sub(r"\.0+$", "", positive)  # 1.0 is 1
        if wanted in names:
            return wanted == names[0]
        close = difflib.get_close_matches(positive, names, n=1)
        raise ConfigError(
            f"--positive {positive!r} is no class of {name!r}; "
            + (f"did you mean {close[0]!r}? " if close else "")
            + f"It has: {', '.join(names)}"
        )
    return positive == names[0]
