"""Sums over all scores above a threshold, for many thresholds at once: one sort instead of all pairs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def sums_above(ranked: Tensor, thresholds: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """`S_i = sum_j w_j [s_j > c_i]` for each `w` of `weights`, row by row, in O(n) memory.

    Scores equal to a threshold are not above it. Differentiable in the weights: the sums are constant in the
    scores and the thresholds, except where one passes another.

    Args:
        ranked: `(rows, n)` scores, each row in rising order.
        thresholds: `(rows, m)`; in rising order they are found faster, since neighbours are looked up in turn.
        weights: tensors `(rows, n)`, in the order of `ranked`.

    Returns:
        For each of the weights a tensor `(rows, m)`.

    >>> s = torch.tensor([[1.0, 2.0, 3.0]])
    >>> sums_above(s, torch.tensor([[1.0, 2.5]]), [torch.ones(1, 3), s])
    [tensor([[2., 1.]]), tensor([[5., 3.]])]
    """
    place = torch.searchsorted(ranked.detach().contiguous(), thresholds.detach().contiguous(), right=True)
    found = []
    for weight in weights:
        below = F.pad(weight.cumsum(dim=-1), (1, 0))
        found.append(below[..., -1:] - below.gather(-1, place))
    return found
