"""Loss and metric in one gradient (paper Eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .._checks import positive
from .source import GradientSource, SearchState


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
