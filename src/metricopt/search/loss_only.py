"""The loss gradient as it is: what everyone does without a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .source import GradientSource, SearchState


@final
@dataclass(frozen=True, kw_only=True)
class LossOnly(GradientSource):
    """Descend the loss; the control that every guided source is compared with."""

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        return loss_grads, state
