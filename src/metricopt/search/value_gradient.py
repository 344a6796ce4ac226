"""The exact gradient of the value function, whole or projected on the subspace of loss gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from .._checks import at_least
from .source import GradientSource, SearchState
from .subspace import span
from .value_source import Value, cost_gradient


@final
@dataclass(frozen=True, kw_only=True)
class ValueGradient(GradientSource):
    """d(1 - f)/dphi by one backward pass through the value function; the loss is not looked at.

    Differs from the paper: there f is only sampled (Eq. 4). Exact is cheaper for d up to hundreds, but follows
    f wherever it goes; guided ES smooths f over a radius of s.
    """

    reads_loss: ClassVar[bool] = False

    value: Value

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        return cost_gradient(self.value, phis), state


@final
@dataclass(frozen=True, kw_only=True)
class ProjectedGradient(GradientSource):
    """The exact gradient of the value function, projected on the span of the last k loss gradients: U U^T g."""

    value: Value
    k: int = 3

    def __post_init__(self) -> None:
        at_least("k", self.k, 1)

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        state = state.remember(loss_grads, self.k)
        basis = span(state.past).basis
        inside = (cost_gradient(self.value, phis)[:, None] @ basis) @ basis.mT
        return inside[:, 0], state
