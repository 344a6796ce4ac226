"""What is timed of a loss: one value and its gradient, on scores of a labelled batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def step(loss: Loss, scores: Tensor, targets: Tensor) -> Callable[[], None]:
    """One value and gradient."""

    def run() -> None:
        loss(scores.clone().requires_grad_(), targets).backward()  # type: ignore[no-untyped-call]

    return run


def labelled(n: int, positive: float) -> tuple[Tensor, Tensor]:
    """Scores `(n,)` and labels in {0, 1}, a share `positive` of them ones; the same for the same n."""
    random = torch.Generator().manual_seed(n)
    return torch.randn(n, generator=random), (torch.rand(n, generator=random) < positive).long()
