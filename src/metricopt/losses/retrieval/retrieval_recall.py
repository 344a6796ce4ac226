"""Recall at k of retrieval on black-box ranks: each embedding ranks all others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._checks import not_negative, one_of, positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..ranking.blackbox_recall import recall_of_rows
from .by_anchor import Anchors, mean_over_anchors

CARD = Card(
    name="retrieval_recall",
    title="Recall at k of retrieval by black-box differentiation of ranks, over all k",
    reads="embeddings",
    targets=("retrieval",),
    aims_at=("recall_at_k",),
    cost="O(n^2 log n)",
    gradient="surrogate",
    ordered=False,
    bounds=(0.0, math.inf),
    paper="Rolinek et al., Optimizing Rank-based Metrics with Blackbox Differentiation, CVPR 2020",
)


@full_precision
def retrieval_recall(
    embeddings: Tensor, targets: Tensor, *, strength: float = 0.1, margin: float = 0.05, weight: str = "loglog"
) -> Tensor:
    """`mean_i mean_p w(negatives in front of p)` over the anchors i and their positives p, see `blackbox_recall`.

    Similarities are made and sorted a few anchors at a time, the gradient in the same pass. First derivative only.

    Args:
        embeddings: `(N, D)`; they are normalised here.
        targets: `(N,)` labels.
        strength: see `blackbox_ranks`, in units of cosines.
        margin: positives are lowered and negatives raised by half of it before they are ranked, >= 0.
        weight: "loglog" for `w(x) = log(1 + log(1 + x))`, or "log" for `log(1 + x)`.

    Returns:
        A scalar >= 0: the mean over the anchors that have a positive, 0 where none has.

    Raises:
        ConfigError: shapes that do not fit, or an option out of its range.

    Differs from the paper: as for `blackbox_recall`. The defaults are a twentieth of those for scores, which spread
    over several units.

    >>> value = retrieval_recall(torch.tensor([[1.0, 0.0], [1.0, 0.9], [0.9, 0.0]]), torch.tensor([0, 0, 1]))
    >>> round(float(value), 4) == round(math.log1p(math.log1p(1)), 4)  # one negative in front of each positive
    True
    """
    positive("strength", strength)
    not_negative("margin", margin)
    one_of("weight", weight, ("loglog", "log"))

    def judge(anchors: Anchors) -> tuple[Tensor, Tensor]:
        near = anchors.positive
        scores = anchors.fill_own(-torch.inf).add_(torch.where(near, -margin / 2, margin / 2))
        with torch.enable_grad():
            values = recall_of_rows(scores.requires_grad_(), near, strength=strength, weight=weight)
            (slopes,) = torch.autograd.grad(values.sum(), scores)
        return values.detach(), slopes

    return mean_over_anchors(embeddings, targets, judge)


ENTRY = LossEntry(card=CARD, loss=retrieval_recall)
