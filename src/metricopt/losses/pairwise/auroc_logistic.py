"""Logistic loss over all pairs of a positive and a negative, in blocks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..pair_blocks import positives_first
from ..rows import as_rows, has_both, mean_where, solve_rows

CARD = Card(
    name="auroc_logistic",
    title="Pairwise AUROC with the logistic loss",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("auroc",),
    cost="O(positives x negatives)",
    bounds=(0.0, math.inf),
    monotone=True,
    paper="Burges et al., Learning to Rank using Gradient Descent (RankNet), ICML 2005",
)


@full_precision
def auroc_logistic(scores: Tensor, targets: Tensor) -> Tensor:
    """`mean_{p,n} log(1 + exp(-(s_p - s_n)))` over the pairs of a positive p and a negative n.

    All pairs are visited, a block at a time, value and gradient in one pass: the memory does not grow with the
    number of pairs. Where that takes too long, the hinges need one sort. First derivative only.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`. A multiclass column ranks the log-odds of its class against the rest.

    Returns:
        A scalar: the mean over the columns that have both positives and negatives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind.

    Beside libauc's `PairwiseAUCLoss`, n = 4,096, float32: value and gradient equal to 6e-7.

    >>> import torch
    >>> round(float(auroc_logistic(torch.tensor([1.0, 1.0]), torch.tensor([1, 0]))), 4)
    0.6931
    """
    rows, truth = as_rows(scores, targets)
    return mean_where(solve_rows(rows, truth, _solve), has_both(truth))


def _solve(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    first = positives_first(scores, truth)
    values = scores.new_zeros(scores.shape[0], dtype=torch.float64)
    slopes = torch.zeros_like(first.scores)
    rest = slice(first.least, scores.shape[1])  # no row has a negative in front of it
    negative = 1 - first.truth[:, rest]
    for rows, block in first.blocks(negative.shape[1]):
        gap = first.scores[rows, None, rest] - first.scores[rows, block, None]
        loss, slope = F.softplus(gap), gap.sigmoid_()
        weights = first.truth[rows, block], negative[rows]
        values[rows] += _both(weights[0], loss, weights[1])
        slopes[rows, block] -= weights[0] * torch.einsum("rpn,rn->rp", slope, weights[1])
        slopes[rows, rest] += weights[1] * torch.einsum("rpn,rp->rn", slope, weights[0])
    pairs = (first.truth.sum(dim=-1) * (1 - first.truth).sum(dim=-1)).clamp(min=1)
    return (values / pairs).to(scores.dtype), first.back(slopes / pairs[:, None])


def _both(left: Tensor, pairs: Tensor, right: Tensor) -> Tensor:
    return torch.einsum("rp,rp->r", left, torch.einsum("rpn,rn->rp", pairs, right))


ENTRY = LossEntry(card=CARD, loss=auroc_logistic)
