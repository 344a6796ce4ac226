"""Multi-similarity loss: mined pairs, weighted by how they compare with the others of their anchor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._checks import not_negative, positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .by_anchor import Anchors, mean_over_anchors

CARD = Card(
    name="multi_similarity",
    title="Multi-similarity loss with its mining of pairs",
    reads="embeddings",
    targets=("retrieval",),
    aims_at=("recall_at_k", "map_at_r"),
    cost="O(n^2)",
    bounds=(0.0, math.inf),
    paper="Wang et al., Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning, CVPR 2019",
)


@full_precision
def multi_similarity(
    embeddings: Tensor,
    targets: Tensor,
    *,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
    mining: float | None = 0.1,
) -> Tensor:
    """`mean_i log(1 + sum_P exp(-alpha (c - base))) / alpha + log(1 + sum_N exp(beta (c - base))) / beta`.

    P and N are the positives and negatives of anchor i that are hard: a positive less similar than the most similar
    negative plus the `mining` margin, a negative more similar than the least similar positive minus it. Similarities
    are made a few anchors at a time, the gradient in the same pass. First derivative only.

    Args:
        embeddings: `(N, D)`; they are normalised here.
        targets: `(N,)` labels.
        alpha: weight of positives, > 0.
        beta: weight of negatives, > 0.
        base: lambda of the paper, the cosine that separates positives from negatives.
        mining: epsilon of the paper, >= 0; None takes all pairs.

    Returns:
        A scalar >= 0: the mean over the anchors that have a positive, 0 where none has.

    Raises:
        ConfigError: shapes that do not fit, or an option out of its range.

    Differs from the paper: an anchor without positives is left out of the mean; there the mining is not defined.

    Beside pytorch-metric-learning 2.9, n = 4,096, float32: value and gradient equal to 5e-7.

    >>> import torch
    >>> value = multi_similarity(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    >>> float(value)  # the negative is far from hard
    0.0
    """
    positive("alpha", alpha)
    positive("beta", beta)
    if mining is not None:
        not_negative("mining", mining)

    def judge(anchors: Anchors) -> tuple[Tensor, Tensor]:
        near, far, cosine = anchors.positive, anchors.negative, anchors.similarity
        if mining is not None:
            hardest = torch.where(far, cosine, -torch.inf).amax(dim=1, keepdim=True)
            easiest = torch.where(near, cosine, torch.inf).amin(dim=1, keepdim=True)
            near, far = near & (cosine < hardest + mining), far & (cosine > easiest - mining)
        pull, pulled = _soft_sum(cosine, near, -alpha, base)
        push, pushed = _soft_sum(cosine, far, beta, base)
        return pull / alpha + push / beta, pushed.sub_(pulled)

    return mean_over_anchors(embeddings, targets, judge)


def _soft_sum(cosine: Tensor, chosen: Tensor, scale: float, base: float) -> tuple[Tensor, Tensor]:
    """`log(1 + sum exp(scale (c - base)))` over the chosen of each row, and the softmax weight of each of them."""
    terms = torch.where(chosen, scale * (cosine - base), -torch.inf)
    # The 1 is a term exp(0) of its own, so no row is empty and nothing overflows.
    top = terms.amax(dim=1, keepdim=True).clamp_(min=0)
    terms = terms.sub_(top).exp_()
    total = terms.sum(dim=1, keepdim=True) + torch.exp(-top)
    return (top + total.log()).squeeze(1), terms.div_(total)


ENTRY = LossEntry(card=CARD, loss=multi_similarity)
