"""How much each training row counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from ...._errors import ConfigError

#: "balanced", a weight for each class number, or every class as it is.
ClassWeight: TypeAlias = Literal["balanced"] | Mapping[int, float] | None


def class_weights(codes: Tensor, classes: int, weight: ClassWeight, *, rows: Tensor | None = None) -> Tensor:
    """One weight for each class, `(classes,)` float32.

    "balanced": `w_k = W / (K W_k)` with `W_k` the total weight of the rows of class k, so that all classes count the
    same; a class without rows gets 1.

    Args:
        codes: class numbers `(N,)`.
        classes: how many classes there are, K.
        weight: "balanced", a mapping from class numbers to weights (1 for classes that it does not name), or None.
        rows: weights of the rows `(N,)` that "balanced" looks at; one each by default.

    Raises:
        ConfigError: an unknown class, or a weight that is negative or not finite.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2, "balanced").tolist()
    [0.6666666865348816, 2.0]
    """
    found = torch.ones(classes)
    if weight is None:
        return found
    if isinstance(weight, str):
        if weight != "balanced":
            raise ConfigError(f'class weights must be "balanced", a mapping or None, got {weight!r}')
        each = torch.ones(len(codes)) if rows is None else rows
        totals = torch.zeros(classes, dtype=torch.float64).index_add_(0, codes, each.double())
        balanced = totals.sum() / (totals.gt(0).sum() * totals)
        return torch.where(totals > 0, balanced, 1.0).float()
    for label, value in _items(weight):
        if not 0 <= label < classes:
            raise ConfigError(f"class weights name the class {label}, but there are the classes 0 to {classes - 1}")
        found[label] = value
    if not bool((found.isfinite() & (found >= 0)).all()):
        raise ConfigError(f"class weights must be finite and at least 0, got {dict(weight)}")
    return found


def _items(weight: Any) -> list[tuple[int, float]]:
    if not isinstance(weight, Mapping):
        raise ConfigError(f'class weights must be "balanced", a mapping or None, got {weight!r}')
    return [(int(label), float(value)) for label, value in weight.items()]
