"""Inputs and targets in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._errors import ConfigError
from .nests import rows_of, sliced, take


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and targets of the same length.

    Args:
        inputs: what the model takes, rows first: a tensor, a tuple of arguments, a mapping of keywords.
        targets: a tensor, a tuple or mapping of tensors, or a list with one record an example.
        groups: `(N,)` integers, where rows belong together: a query, a patient, a user. Rows of one group are never
            divided between search and acceptance, and are drawn together.

    >>> len(Examples(inputs=torch.zeros(5, 3), targets=torch.zeros(5)))
    5
    """

    inputs: Any
    targets: Any
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        counts = rows_of(self.inputs), rows_of(self.targets)
        if counts[0] != counts[1] or counts[0] == 0:
            raise ConfigError(
                f"inputs and targets must have the same length of at least 1, got {counts[0]} and {counts[1]}"
            )
        if isinstance(self.targets, Tensor) and self.targets.dtype == torch.bool:  # losses need numbers
            object.__setattr__(self, "targets", self.targets.float())
        if self.groups is not None and self.groups.shape != (counts[0],):
            raise ConfigError(
                f"groups must be one integer for each of {counts[0]} rows, got {tuple(self.groups.shape)}"
            )

    def __len__(self) -> int:
        return rows_of(self.inputs)

    def take(self, index: Tensor) -> Examples:
        """The rows `index`, in that order."""
        groups = None if self.groups is None else self.groups[index.to(self.groups.device)]
        return Examples(inputs=take(self.inputs, index), targets=take(self.targets, index), groups=groups)

    def first(self, count: int) -> Examples:
        """The first rows, without a copy."""
        groups = None if self.groups is None else self.groups[:count]
        return Examples(inputs=sliced(self.inputs, 0, count), targets=sliced(self.targets, 0, count), groups=groups)


def as_examples(data: Examples | tuple[Any, Any]) -> Examples:
    """`Examples`, or a pair (inputs, targets) of tensors or NumPy arrays."""
    if isinstance(data, Examples):
        return data
    inputs, targets = (_tensor(part) for part in data)
    return Examples(inputs=inputs, targets=targets)


def _tensor(data: Any) -> Any:
    """Tensors as they are; a NumPy array as a tensor, double precision as single, which is what models have."""
    if isinstance(data, Tensor | list | tuple | dict):
        return data
    tensor = torch.as_tensor(data)
    return tensor.float() if tensor.dtype == torch.float64 else tensor
