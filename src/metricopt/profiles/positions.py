"""A class for each position of a row: of an image's pixels, of a text's tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, final

import torch
from torch import Tensor

from .._errors import ConfigError
from .._random import generator
from .._scores import class_axis
from .binary import BinaryProfile
from .multiclass import MOST_CLASSES, MulticlassProfile
from .profile import Column, Profile, ratio

#: So many positions are read of all rows together, and at least so many of each.
_MOST, _LEAST = 1 << 13, 16


@final
@dataclass(frozen=True, kw_only=True)
class PositionsProfile(Profile):
    """The figures of `BinaryProfile` or `MulticlassProfile` over all positions, or over the same few of each row; of up
    to thirty classes also intersections over unions.

    Positions whose target is negative (-100, as padding is marked) are left out.

    Args:
        classes: how many there are; 1 where the sign of one score decides.
        slices: names.
        axis: of the classes in the outputs of one phi: 1 for images, -1 for texts.
        most: positions that are read of each row; None for all.
    """

    classes: int
    slices: tuple[str, ...] = ()
    axis: int = 1
    most: int | None = None

    def fits(self, outputs: Any, targets: Any) -> bool:
        return isinstance(outputs, Tensor) and isinstance(targets, Tensor) and class_axis(outputs, targets) is not None

    def for_data(self, outputs: Any, targets: Any) -> PositionsProfile:
        axis = class_axis(outputs, targets)
        if axis is None:
            shapes = f"scores of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
            raise ConfigError(f"{shapes} are not those of a class for each position: (N, C, ...) and (N, ...)")
        most = max(_MOST // len(targets), _LEAST)
        whole = math.prod(targets.shape[1:]) <= most
        return replace(self, classes=outputs.shape[axis], axis=axis, most=None if whole else most)

    @cached_property
    def _inner(self) -> BinaryProfile | MulticlassProfile:
        if self.classes == 1:
            return BinaryProfile(slices=self.slices)
        return MulticlassProfile(classes=self.classes, slices=self.slices)

    @property
    def _overlaps(self) -> tuple[str, ...]:
        each = range(self.classes) if 1 < self.classes <= MOST_CLASSES else ()
        return ("mean IoU", *(f"IoU of class {k}" for k in each)) if each else ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self._inner.columns, *(Column(name, "overlaps") for name in self._overlaps))

    def of_targets(self, targets: Any) -> Tensor:
        return self._chosen(targets.flatten(1), 1)

    def of_outputs(self, outputs: Any, targets: Any) -> Tensor:
        """`(n, N, P, C)`."""
        del targets
        last = outputs.movedim(2 if self.axis == 1 else -1, -1)
        return self._chosen(last.flatten(2, -2), 2)

    def _chosen(self, values: Tensor, dim: int) -> Tensor:
        if self.most is None:
            return values
        return values.index_select(dim, _places(values.shape[dim], self.most).to(values.device))

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        there = (targets >= 0).reshape(-1)
        flat = outputs.flatten(1, 2)[:, there]
        rows = None if slices is None else slices.repeat_interleave(targets.shape[1], dim=0)[there]
        truth = targets.reshape(-1)[there]
        found = self._inner(flat[..., 0] if self.classes == 1 else flat, truth, rows)
        if not self._overlaps:
            return found
        recall, precision = found[:, : self.classes], found[:, self.classes : 2 * self.classes]
        both = recall * precision
        overlap = ratio(both, recall + precision - both)
        occurs = torch.bincount(truth.long(), minlength=self.classes).gt(0).to(overlap)
        mean = (overlap * occurs).sum(dim=1, keepdim=True) / occurs.sum().clamp_min(1)
        return torch.cat([found, mean, overlap], dim=1)


@cache
def _places(positions: int, most: int) -> Tensor:
    """Which positions of a row are read, ascending."""
    return torch.randperm(positions, generator=generator("positions"))[:most].sort().values
