"""Every observation of a metric, in order."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor


@final
class Memory:
    """What is known of one metric on one workload: phis and their utilities. Append-only; whoever asked is not kept.

    >>> memory = Memory(dim=2)
    >>> memory.add(torch.zeros(2), 0.5)
    >>> len(memory), tuple(memory.phis.shape), memory.utilities
    (1, (1, 2), tensor([0.5000], dtype=torch.float64))
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._phis: list[Tensor] = []
        self._utilities: list[float] = []

    def __len__(self) -> int:
        return len(self._utilities)

    def add(self, phi: Tensor, utility: float) -> None:
        self._phis.append(phi.detach().clone())
        self._utilities.append(utility)

    @property
    def phis(self) -> Tensor:
        """`(m, d)`."""
        return torch.stack(self._phis) if self._phis else torch.zeros(0, self._dim)

    @property
    def utilities(self) -> Tensor:
        """`(m,)`, float64."""
        return torch.tensor(self._utilities, dtype=torch.float64)
