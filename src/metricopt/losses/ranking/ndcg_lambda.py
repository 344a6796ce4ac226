"""NDCG through pairs that are weighted by what a swap would change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import at_least, not_negative, positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..pair_blocks import positives_first
from ..rows import mean_where, solve_rows
from ..shapes import as_lists
from .places import places

CARD = Card(
    name="ndcg_lambda",
    title="LambdaLoss for NDCG: logistic pairs weighted by the change of NDCG",
    targets=("ranking",),
    aims_at=("ndcg",),
    cost="O(relevant x n)",
    bounds=(0.0, math.inf),
    paper="Wang et al., The LambdaLoss Framework for Ranking Metric Optimization, CIKM 2018 (NDCG-Loss2++)",
)


@full_precision
def ndcg_lambda(
    scores: Tensor, targets: Tensor, *, k: int | None = None, mu: float = 10.0, sigma: float = 1.0
) -> Tensor:
    """`sum_{y_i > y_j} (rho_ij + mu delta_ij) |G_i - G_j| log2(1 + exp(-sigma (s_i - s_j)))`, mean over lists.

    `G_i = (2^y_i - 1) / maxDCG`; with the ranks r of the present scores, `rho_ij = |d(r_i) - d(r_j)|` and
    `delta_ij = d(|r_i - r_j|) - d(|r_i - r_j| + 1)`, `d(r) = 1 / log2(1 + r)`. The weights are constant until two
    items change places. Pairs are visited a block at a time, value and gradient in one pass, so the memory does
    not grow with their number. First derivative only.

    Args:
        scores: one list `(n,)`, or `(rows, n)`.
        targets: relevance >= 0 of the same shape, graded or 0/1.
        k: NDCG at k: what stands behind place k has no discount, and delta only counts pairs with one of the first
            k. None for the whole list.
        mu: share of delta; 0 gives the weights of LambdaRank.
        sigma: slope of the logistic loss, > 0.

    Returns:
        A scalar: the mean over lists that hold something relevant, 0 where none does.

    Raises:
        ConfigError: shapes that fit no kind, or an option out of its range.

    Differs from the paper: items of equal score share their places (the paper sorts, so their order would be that of
    the input). `d` is the mean over the places shared, `rho` of two of them the mean over their orders, and their
    distance the mean distance of two of m places, `(m + 1) / 3`.

    Beside `lambdaLoss` of allRank, n = 4,096, five grades, float32: value and gradient equal to 2e-7.

    >>> import torch
    >>> value = ndcg_lambda(torch.tensor([0.0, 1.0]), torch.tensor([2, 0]), mu=0.0)
    >>> round(float(value), 4) == round((1 - 1 / math.log2(3)) * math.log2(1 + math.e), 4)
    True
    """
    not_negative("mu", mu)
    positive("sigma", sigma)
    if k is not None:
        at_least("k", k, 1)
    rows, relevance = as_lists(scores, targets)
    values = solve_rows(sigma * rows, relevance, partial(_solve, k=k, mu=mu))
    return mean_where(values, (relevance > 0).any(dim=-1))


def _solve(scores: Tensor, relevance: Tensor, k: int | None, mu: float) -> tuple[Tensor, Tensor]:
    first = positives_first(scores, relevance)
    weighing = _weighing(first.scores, k, mu)
    gains = _gains(first.truth, k)
    values = scores.new_zeros(scores.shape[0])
    slopes = torch.zeros_like(scores)
    for rows, block in first.blocks(scores.shape[1]):
        rest = slice(block.start, scores.shape[1])  # what stands in front is at least as relevant
        gap = first.scores[rows, None, rest] - first.scores[rows, block, None]
        weight = weighing.block(rows, block, rest, gap == 0)
        weight *= (gains[rows, block, None] - gains[rows, None, rest]).clamp_(min=0)
        values[rows] += (weight * F.softplus(gap)).sum(dim=(1, 2))
        weight *= gap.sigmoid_()
        slopes[rows, block] -= weight.sum(dim=2)
        slopes[rows, rest] += weight.sum(dim=1)
    return values / math.log(2), first.back(slopes) / math.log(2)


def _gains(relevance: Tensor, k: int | None) -> Tensor:
    """`(2^y - 1) / maxDCG` of rows that are sorted by relevance already."""
    gains = torch.exp2(relevance.double()) - 1
    best = (gains * _discounts(gains.shape[-1], k, gains.device)).sum(dim=-1, keepdim=True)
    return (gains / torch.where(best > 0, best, 1.0)).to(relevance.dtype)


def _discounts(n: int, k: int | None, device: torch.device) -> Tensor:
    """`1 / log2(2 + p)` for the places p = 0..n-1, 0 from place k on."""
    place = torch.arange(n, dtype=torch.float64, device=device)
    return torch.where(place < (n if k is None else k), 1 / torch.log2(2 + place), 0.0)


@dataclass(frozen=True, kw_only=True)
class _Weighing:
    """What a swap of two items would change, from what is known of each.

    Args:
        rank: `(rows, n)`, mean of the ranks shared.
        discount: `(rows, n)`, mean of the discounts shared.
        tied: `(rows, n)`: the weight of a pair of equal scores.
        delta: weight of a pair at distance 0, 1/2, 1, ... ranks; that at 0 is not used.
        k: as in the loss.
    """

    rank: Tensor
    discount: Tensor
    tied: Tensor
    delta: Tensor | None
    k: int | None

    def block(self, rows: slice, block: slice, rest: slice, equal: Tensor) -> Tensor:
        weight = (self.discount[rows, block, None] - self.discount[rows, None, rest]).abs_()
        if self.delta is not None:
            one, other = self.rank[rows, block, None], self.rank[rows, None, rest]
            delta = self.delta[(one - other).abs_().mul_(2).int()]
            if self.k is not None:
                delta *= torch.minimum(one, other) <= self.k
            weight += delta
        return torch.where(equal, self.tied[rows, block, None], weight)


def _weighing(scores: Tensor, k: int | None, mu: float) -> _Weighing:
    start, stop = places(scores)
    n = scores.shape[-1]
    rank = (start + stop + 1).to(torch.float64) / 2
    size = (stop - start).double()
    discounts = _discounts(n, k, scores.device)
    sums = F.pad(discounts.cumsum(dim=0), (1, 0))
    moments = F.pad((discounts * torch.arange(n, device=scores.device)).cumsum(dim=0), (1, 0))
    total = sums[stop] - sums[start]
    # The t-th of m places is the better one of m - 1 - t pairs and the worse one of t.
    spread = (size - 1) * total - 2 * (moments[stop] - moments[start] - start * total)
    tied = 2 * spread.clamp(min=0) / (size * (size - 1)).clamp(min=1)
    delta = None
    if mu > 0:
        half = torch.arange(1, 2 * n + 1, dtype=torch.float64, device=scores.device) / 2
        delta = mu * F.pad(_delta(half), (1, 0)).to(scores.dtype)
        near = mu * _delta(((size + 1) / 3).clamp(min=1))
        tied = tied + (near if k is None else near * (rank <= k))
    return _Weighing(
        rank=rank.to(scores.dtype),
        discount=(total / size).to(scores.dtype),
        tied=tied.to(scores.dtype),
        delta=delta,
        k=k,
    )


def _delta(distance: Tensor) -> Tensor:
    return 1 / torch.log2(1 + distance) - 1 / torch.log2(2 + distance)


ENTRY = LossEntry(card=CARD, loss=ndcg_lambda)
