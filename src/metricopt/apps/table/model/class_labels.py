"""Class labels as the numbers 0..K-1 that scores and losses speak of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...._errors import ConfigError, DataError
from ...._shown import shown
from ...._typed import Typed
from .raw_column import is_missing

LabelKind: TypeAlias = Literal["text", "integer", "number", "flag"]

_TYPES: dict[LabelKind, type] = {"text": str, "integer": int, "number": float, "flag": bool}


@final
@dataclass(frozen=True, kw_only=True)
class ClassLabels(Typed):
    """The classes in ascending order; class i is the number i.

    Args:
        values: at least two different ones, ascending, all of one type.
        kind: that type.

    >>> labels = ClassLabels.fit(["no", "yes", "no"])
    >>> labels.encode(["yes", "no"]), labels.decode(torch.tensor([0, 1]))
    (tensor([1, 0]), array(['no', 'yes'], dtype=object))
    """

    values: tuple[Any, ...]
    kind: LabelKind

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(type(value) is not _TYPES[self.kind] or value in (math.inf, -math.inf) for value in self.values):
            raise ConfigError(f"values of class labels must all be of kind {self.kind}, got {shown(self.values)}")
        if len(self.values) < 2 or any(not a < b for a, b in pairwise(self.values)):
            raise ConfigError("class labels must be at least two, ascending")

    @classmethod
    def fit(cls, targets: Any) -> ClassLabels:
        """The classes among `targets`, `(N,)`: text, whole numbers, numbers or booleans.

        Raises:
            DataError: a missing target, values of several types, or less than two classes.
        """
        array = _flat(targets)
        kind = _kind_of(array)
        values = tuple(sorted({_TYPES[kind](value) for value in array.tolist()}))
        if len(values) < 2:
            raise DataError(f"a classifier needs at least two classes, but every target is {values[0]!r}")
        return cls(values=values, kind=kind)

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, targets: Any) -> Tensor:
        """`(N,)` int64; raises DataError for a target that is none of the classes."""
        known = {value: i for i, value in enumerate(self.values)}
        array = _flat(targets)
        try:
            return torch.tensor([known[value] for value in array.tolist()], dtype=torch.long)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"the target {error.args[0]!r} is none of the classes: {', '.join(map(repr, self.values[:10]))}"
                f"{', ...' if len(self.values) > 10 else ''}"
            ) from None

    def decode(self, codes: Tensor) -> NDArray[Any]:
        """The labels `(N,)` of class numbers `(N,)`."""
        dtypes: dict[LabelKind, Any] = {"text": object, "integer": np.int64, "number": np.float64, "flag": np.bool_}
        return np.asarray(np.array(self.values, dtype=dtypes[self.kind])[codes.cpu().numpy()])


def _flat(targets: Any) -> NDArray[Any]:
    """Targets as a one-dimensional array; text stays objects, and numbers in an array of objects become numbers."""
    array = np.asarray(targets, dtype=object) if isinstance(targets, list | tuple) else np.asarray(targets)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"targets must be one column with at least one row, got shape {array.shape}")
    return array


def _kind_of(array: NDArray[Any]) -> LabelKind:
    values = array.tolist()
    missing = sum(map(is_missing, values))
    if missing:
        raise DataError(f"{missing} of {len(values)} targets are missing; leave those rows out")
    types = set(map(type, values))
    for kind, one in _TYPES.items():
        if types == {one}:
            return kind
    if types <= {int, float}:
        return "number"
    raise DataError(f"all classes must be text, or all numbers, got {', '.join(sorted(t.__name__ for t in types))}")
