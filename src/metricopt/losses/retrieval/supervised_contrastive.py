"""Supervised contrastive loss: each positive against all others in a softmax."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .by_anchor import Anchors, mean_over_anchors

CARD = Card(
    name="supervised_contrastive",
    title="Supervised contrastive loss (SupCon)",
    reads="embeddings",
    targets=("retrieval",),
    aims_at=("map_at_r", "recall_at_k"),
    cost="O(n^2)",
    bounds=(0.0, math.inf),
    paper="Khosla et al., Supervised Contrastive Learning, NeurIPS 2020 (L_out, Eq. 2)",
)


@full_precision
def supervised_contrastive(embeddings: Tensor, targets: Tensor, *, temperature: float = 0.1) -> Tensor:
    """`mean_i -1/|P_i| sum_{p in P_i} log( exp(c_ip / tau) / sum_{a != i} exp(c_ia / tau) )`, c being cosines.

    Similarities are made a few anchors at a time, the gradient in the same pass. First derivative only.

    Args:
        embeddings: `(N, D)`; they are normalised here.
        targets: `(N,)` labels.
        temperature: tau, > 0.

    Returns:
        A scalar >= 0: the mean over the anchors that have a positive, 0 where none has.

    Raises:
        ConfigError: shapes that do not fit, or a temperature that is not positive.

    Differs from the paper: an anchor without positives is left out of the mean; there 1/|P_i| is not defined.

    Beside pytorch-metric-learning 2.9, n = 4,096, float32: value and gradient equal to 6e-7.

    >>> import torch
    >>> value = supervised_contrastive(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    >>> round(float(value), 6)  # log(1 + exp(-10))
    4.5e-05
    """
    tau = positive("temperature", temperature)

    def judge(anchors: Anchors) -> tuple[Tensor, Tensor]:
        mask = anchors.positive.to(anchors.similarity.dtype)
        share = mask.div_(mask.sum(dim=1, keepdim=True).clamp(min=1))
        logits = anchors.fill_own(-1e30)  # finite, so that 0 times it is 0
        logits = logits.sub_(logits.amax(dim=1, keepdim=True)).div_(tau)
        attraction = torch.linalg.vecdot(logits, share)
        soft = logits.exp_()
        total = soft.sum(dim=1, keepdim=True)
        return total.log().squeeze(1) - attraction, soft.div_(total).sub_(share).div_(tau)

    return mean_over_anchors(embeddings, targets, judge)


ENTRY = LossEntry(card=CARD, loss=supervised_contrastive)
