"""Recall at k, for all k at once, on black-box ranks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import not_negative, one_of
from ..._scores import flatten_binary, score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..rows import mean_where
from .blackbox_ranks import blackbox_ranks

CARD = Card(
    name="blackbox_recall",
    title="Recall at k by black-box differentiation of ranks, over all k",
    targets=("binary", "multiclass", "multilabel", "ranking"),
    aims_at=("recall_at_k",),
    cost="O(n log n)",
    gradient="surrogate",
    ordered=False,
    monotone=True,
    bounds=(0.0, math.inf),
    paper="Rolinek et al., Optimizing Rank-based Metrics with Blackbox Differentiation, CVPR 2020",
)


@full_precision
def blackbox_recall(
    scores: Tensor, targets: Tensor, *, strength: float = 2.0, margin: float = 1.0, weight: str = "loglog"
) -> Tensor:
    """`mean_p w(rk(p) - rk_P(p))`: how many negatives stand in front of a positive, `w(x) = log(1 + log(1 + x))`.

    A sum of `1 - recall@k` over all k, the first ones weighing most: recall at one k alone is a step, whose slope in
    the ranks is zero. Each row ranks its candidates, as for the metric `recall_at_k`. The gradient is that of
    `blackbox_ranks`; two sorts forward, two backward.

    Args:
        scores: `(N,)` or `(N, 1)` is one list; `(N, C)` is one list of C for each row.
        targets: in {0, 1}, or relevance where what is above 0 is wanted, of the same shape; or `(N,)` class indices
            with `(N, C)` scores, where each row wants one.
        strength: see `blackbox_ranks`, in units of scores.
        margin: positives are lowered and negatives raised by half of it before they are ranked, >= 0. A strength
            below it can get stuck where all scores are equal.
        weight: "loglog", or "log" for `w(x) = log(1 + x)`, which cares more for positives far behind.

    Returns:
        A scalar >= 0: the mean over the lists that hold something wanted, 0 where none does.

    Raises:
        ConfigError: shapes that fit no kind, or an option out of its range.

    Differs from the paper: see `blackbox_ranks`; equal scores share their ranks; no memory of earlier batches. A
    positive with no negative in front is not pushed, see `blackbox_ap`.

    >>> value = blackbox_recall(torch.tensor([0.0, 9.0, 5.0]), torch.tensor([1, 0, 1]), weight="log")
    >>> round(float(value), 4)  # one negative in front of both
    0.6931
    """
    one_of("weight", weight, ("loglog", "log"))
    not_negative("margin", margin)
    rows, wanted = _lists(scores, targets)
    shifted = torch.where(wanted, rows - margin / 2, rows + margin / 2)
    return mean_where(recall_of_rows(shifted, wanted, strength=strength, weight=weight), wanted.any(dim=-1))


def recall_of_rows(scores: Tensor, wanted: Tensor, *, strength: float, weight: str) -> Tensor:
    """The loss of each row `(rows,)`; 0 where nothing is wanted. What has a score of minus infinity is not there."""
    everywhere = blackbox_ranks(scores, strength=strength)
    among = blackbox_ranks(torch.where(wanted, scores, -torch.inf), strength=strength)
    ahead = torch.where(wanted & (everywhere > among), everywhere - among, 0.0)
    cost = torch.log1p(ahead)
    if weight == "loglog":
        cost = torch.log1p(cost)
    return cost.sum(dim=-1) / wanted.sum(dim=-1).clamp(min=1)


def _lists(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(rows, n)` scores, and what is wanted."""
    kind = score_kind(scores, targets)
    if kind == "binary":
        flat, truth = flatten_binary(scores, targets)
        return flat[None], truth[None] > 0
    if kind == "multiclass":
        return scores, F.one_hot(targets.long(), scores.shape[1]) > 0
    return scores, targets > 0


ENTRY = LossEntry(card=CARD, loss=blackbox_recall)
