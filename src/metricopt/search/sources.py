"""Gradient sources of a few lines: the loss alone, the exact gradient of the value function, and both at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from .._checks import at_least, positive
from .source import GradientSource, SearchState
from .subspace import span
from .value_source import Value, cost_gradient


@final
@dataclass(frozen=True, kw_only=True)
class LossOnly(GradientSource):
    """Descend the loss; the control that every guided source is compared with."""

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        return loss_grads, state


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


@final
@dataclass(frozen=True, kw_only=True)
class Blend(GradientSource):
    """Gradient of M(phi) + l(phi) / lambda (Eq. 1 over lambda), with M supplied by any other source.

    Divided by lambda, so that the step size is the metric's whatever lambda is. The paper gives lambda no number,
    and its Algorithm 1 never descends the loss.

    Args:
        metric: the source of the metric's gradient.
        weight: lambda; the larger, the less the loss counts.
    """

    metric: GradientSource
    weight: float = 1.0

    def __post_init__(self) -> None:
        positive("weight", self.weight)

    def init(self, runs: int, dim: int) -> SearchState:
        return self.metric.init(runs, dim)

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        toward_metric, state = self.metric.direction(state, phis, loss_grads, generator=generator)
        return toward_metric + loss_grads / self.weight, state
