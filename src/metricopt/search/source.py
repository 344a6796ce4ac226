"""Who supplies a gradient: the contract of every gradient source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class SearchState(NamedTuple):
    """What a source remembers between steps of n runs.

    `past` holds the last k loss gradients, newest first, `(n, k, d)`; fewer than k at the beginning.
    """

    past: Tensor

    @staticmethod
    def new(runs: int, dim: int) -> SearchState:
        return SearchState(torch.empty(runs, 0, dim))

    def remember(self, loss_grads: Tensor, k: int) -> SearchState:
        """The state after one more loss gradient `(n, d)`; the oldest beyond k is dropped."""
        newest = loss_grads.unsqueeze(1)
        # Nothing remembered has no dtype or device of its own.
        past = self.past
        return SearchState(torch.cat([newest, past[:, : k - 1]], dim=1) if past.shape[1] else newest)


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
