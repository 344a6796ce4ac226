"""How good a value function is on points it was not trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Agreement of estimates with observed utilities.

    `spearman` and `pearson` are NaN for fewer than three points or where one side is constant. `mae_of_mean` is the
    error of the best constant guess: a value function that does not beat it has learned nothing.
    """

    points: int
    spearman: float
    pearson: float
    mae: float
    mae_of_mean: float


def quality(estimates: Tensor, utilities: Tensor) -> Quality:
    """Compare `(m,)` estimates with `(m,)` observed utilities.

    >>> round(quality(torch.tensor([0.1, 0.2, 0.4]), torch.tensor([0.1, 0.3, 0.5])).spearman, 6)
    1.0
    """
    estimates, utilities = estimates.detach().double(), utilities.detach().double()
    if len(utilities) == 0:
        return Quality(points=0, spearman=math.nan, pearson=math.nan, mae=math.nan, mae_of_mean=math.nan)
    return Quality(
        points=len(utilities),
        spearman=_pearson(_ranks(estimates), _ranks(utilities)),
        pearson=_pearson(estimates, utilities),
        mae=float((estimates - utilities).abs().mean()),
        mae_of_mean=float((utilities - utilities.median()).abs().mean()),
    )


def _pearson(a: Tensor, b: Tensor) -> float:
    if len(a) < 3:
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return min(max(float(a @ b) / scale, -1.0), 1.0) if scale > 0 else math.nan


def _ranks(values: Tensor) -> Tensor:
    """Ranks with ties averaged."""
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - (counts.double() - 1) / 2)[inverse]
    return ranks
