"""Squared hinge over all pairs of a positive and a negative, by sorting."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..rows import as_rows, has_both, mean_where
from ..sums_above import sums_above

CARD = Card(
    name="auroc_squared_hinge",
    title="Pairwise AUROC with the squared hinge",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("auroc", "partial_auroc", "average_precision"),
    cost="O(n log n)",
    bounds=(0.0, math.inf),
    monotone=True,
    paper="Yan et al., Optimizing Classifier Performance via the Wilcoxon-Mann-Whitney Statistic, ICML 2003; by "
    "sorting: Rust and Hocking, 2023",
)


@full_precision
def auroc_squared_hinge(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """`mean_{p,n} max(0, m - (s_p - s_n))^2` over the pairs of a positive p and a negative n.

    Not one pair is formed. With `c_p = s_p - m` the negatives above `c_p` count, and their share is
    `sum s_n^2 - 2 c_p sum s_n + k c_p^2`: three sums over what lies above a threshold. The sums are float64, since
    the three parts cancel. Twice differentiable.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`. A multiclass column ranks the log-odds of its class against the rest.
        margin: m, > 0.

    Returns:
        A scalar: the mean over the columns that have both positives and negatives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind, or a margin that is not positive.

    Beside libauc's `PairwiseAUCLoss`, n = 4,096, float32: value and gradient equal to 6e-7.

    Differs from the paper: a mean over pairs, not a sum; the exponent is 2.

    >>> import torch
    >>> float(auroc_squared_hinge(torch.tensor([2.0, 0.5, 0.0]), torch.tensor([1, 1, 0])))
    0.125
    """
    positive("margin", margin)
    rows, truth = as_rows(scores, targets)
    wide, order = torch.sort(rows.double(), dim=-1)
    truth = truth.double().gather(-1, order)  # the order of examples does not matter
    wide = wide - wide.detach().mean(dim=-1, keepdim=True)  # smaller numbers cancel less
    floor = wide - margin
    negative = 1 - truth
    signed = negative * wide
    count, first, second = sums_above(wide, floor, (negative, signed, signed * wide))
    total = (truth * (second - 2 * floor * first + floor.square() * count)).sum(dim=-1)
    pairs = (truth.sum(dim=-1) * negative.sum(dim=-1)).clamp(min=1)
    return mean_where(total / pairs, has_both(truth)).clamp(min=0).to(scores.dtype)


ENTRY = LossEntry(card=CARD, loss=auroc_squared_hinge)
