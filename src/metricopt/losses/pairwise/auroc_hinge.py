"""Hinge over all pairs of a positive and a negative, by sorting."""

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
    name="auroc_hinge",
    title="Pairwise AUROC with the hinge",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("auroc", "partial_auroc"),
    cost="O(n log n)",
    bounds=(0.0, math.inf),
    monotone=True,
    paper="Joachims, Optimizing Search Engines using Clickthrough Data, KDD 2002; by sorting: Joachims, KDD 2006",
)


@full_precision
def auroc_hinge(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """`mean_{p,n} max(0, m - (s_p - s_n))` over the pairs of a positive p and a negative n.

    Not one pair is formed: a positive pays `sum s_n - k (s_p - m)` over the k negatives above `s_p - m`, and both
    sums come from one sort. Sums are float64. A pair exactly at the margin has slope 0.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`. A multiclass column ranks the log-odds of its class against the rest.
        margin: m, > 0.

    Returns:
        A scalar: the mean over the columns that have both positives and negatives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind, or a margin that is not positive.

    Beside libauc's `PairwiseAUCLoss`, n = 4,096, float32: value and gradient equal to 6e-7.

    >>> import torch
    >>> float(auroc_hinge(torch.tensor([2.0, 0.5, 0.0]), torch.tensor([1, 1, 0])))
    0.25
    """
    positive("margin", margin)
    rows, truth = as_rows(scores, targets)
    wide, order = torch.sort(rows.double(), dim=-1)
    truth = truth.double().gather(-1, order)  # the order of examples does not matter
    floor = wide - margin
    negative = 1 - truth
    count, first = sums_above(wide, floor, (negative, negative * wide))
    total = (truth * (first - floor * count)).sum(dim=-1)
    pairs = (truth.sum(dim=-1) * negative.sum(dim=-1)).clamp(min=1)
    return mean_where(total / pairs, has_both(truth)).clamp(min=0).to(scores.dtype)


ENTRY = LossEntry(card=CARD, loss=auroc_hinge)
