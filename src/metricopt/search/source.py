"""Who supplies a gradient: the contract of every gradient source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """What a source remembers between steps of n runs.

    Args:
        past: the last k loss gradients, newest first, `(n, k, d)`; fewer than k at the beginning.
    """

    past: Tensor

    @staticmethod
    def new(runs: int, dim: int, *, like: Tensor | None = None) -> SearchState:
        empty = torch.empty(runs, 0, dim)
        return SearchState(past=empty if like is None else empty.to(like))

    def remember(self, loss_grads: Tensor, k: int) -> SearchState:
        """The state after one more loss gradient `(n, d)`; the oldest beyond k is dropped."""
        return SearchState(past=torch.cat([loss_grads[:, None], self.past], dim=1)[:, :k])


class GradientSource(ABC):
    """State and phis in, gradient to descend and new state out. Who steps is another object.

    A source works on populations: n runs advance together, each with its own state.
    """

    #: False where the source never looks at the loss, so that nobody computes its gradient.
    reads_loss: ClassVar[bool] = True

    def init(self, runs: int, dim: int) -> SearchState:
        return SearchState.new(runs, dim)

    @abstractmethod
    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        """The gradient to descend.

        Args:
            state: from `init` or from the step before.
            phis: `(n, d)`.
            loss_grads: `(n, d)`, the loss gradients at `phis`; zeros where the source does not read them.
            generator: for sources that sample.

        Returns:
            `(n, d)` to put into `phi.grad`, and the new state.
        """
