"""Inputs and targets in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import ConfigError
from ..metrics import Judged
from .nests import mapped, rows_of, sliced, take
from .row_hashes import row_hashes


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and targets of the same length.

    Args:
        inputs: what the model takes, rows first: a tensor, a tuple of arguments, a mapping of keywords.
        targets: a tensor, a tuple or mapping of tensors, or a list with one record an example.
        groups: `(N,)` integers, where rows belong together: a query, a patient, a user. Rows of one group are never
            divided between search and acceptance, and are drawn together.
        beside: what the metric alone is told of each row: its group, its cost. Rows first, a tensor or a nest of them.

    >>> len(Examples(inputs=torch.zeros(5, 3), targets=torch.zeros(5)))
    5
    """

    inputs: Any
    targets: Any
    groups: Tensor | None = None
    beside: Any = None

    def __post_init__(self) -> None:
        counts = rows_of(self.inputs), rows_of(self.targets)
        if counts[0] != counts[1] or counts[0] == 0:
            raise ConfigError(
                f"inputs and targets must have the same length of at least 1, got {counts[0]} and {counts[1]}"
            )
        object.__setattr__(self, "targets", as_numbers(self.targets))
        if self.groups is not None and self.groups.shape != (counts[0],):
            raise ConfigError(
                f"groups must be one integer for each of {counts[0]} rows, got {tuple(self.groups.shape)}"
            )
        if self.beside is not None and rows_of(self.beside) != counts[0]:
            raise ConfigError(
                f"what stands beside the targets must have {counts[0]} rows, too, got {rows_of(self.beside)}"
            )

    def __len__(self) -> int:
        return rows_of(self.inputs)

    @property
    def judged_by(self) -> Any:
        """What a metric gets beside the outputs: targets, or `Judged`."""
        return self.targets if self.beside is None else Judged(self.targets, self.beside)

    @cached_property
    def hashes(self) -> Tensor:
        """`(N,)`: what identifies each row."""
        return row_hashes(self.inputs, self.targets)

    def take(self, index: Tensor) -> Examples:
        """The rows `index`, in that order."""
        return self._mapped(lambda part: take(part, index))

    def first(self, count: int) -> Examples:
        """The first rows, without a copy."""
        return self._mapped(lambda part: sliced(part, 0, count))

    def _mapped(self, some: Callable[[Any], Any]) -> Examples:
        groups, beside = (None if part is None else some(part) for part in (self.groups, self.beside))
        return Examples(inputs=some(self.inputs), targets=some(self.targets), groups=groups, beside=beside)


def as_examples(data: Examples | tuple[Any, Any]) -> Examples:
    """`Examples`, or a pair (inputs, targets) of tensors or NumPy arrays."""
    if isinstance(data, Examples):
        return data
    inputs, targets = (_tensor(part) for part in data)
    return Examples(inputs=inputs, targets=targets)


def as_numbers(targets: Any) -> Any:
    """Targets as losses take them: booleans as numbers."""
    return targets.float() if isinstance(targets, Tensor) and targets.dtype == torch.bool else targets


def inputs_like(model: nn.Module, inputs: Any, device: torch.device) -> Any:
    """Inputs on `device`, real ones in the precision of the model, none of them made in inference mode."""
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)

    def one(tensor: Tensor) -> Tensor:
        tensor = no_inference(tensor.detach())
        dtype = weight.dtype if weight is not None and tensor.is_floating_point() else tensor.dtype
        return tensor.to(device, dtype)

    return mapped(one, inputs)


def no_inference(tensor: Tensor) -> Tensor:
    """Tensors of inference mode take part in no gradient; their copies do."""
    return tensor.clone() if tensor.is_inference() else tensor


def _tensor(data: Any) -> Any:
    """Tensors as they are; a NumPy array as a tensor, double precision as single, which is what models have."""
    if isinstance(data, Tensor | list | tuple | dict):
        return data
    tensor = torch.as_tensor(data)
    return tensor.float() if tensor.dtype == torch.float64 else tensor
