"""Label smoothing, and the sparse form of it that evolved losses led to."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import below_one
from ..._scores import flatten_binary, score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import from_largest

LABEL_SMOOTHING = Card(
    name="label_smoothing",
    title="Cross-entropy with a share of each target spread over all classes",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("accuracy", "mcr", "log_loss"),
    cost="O(n)",
    bounds=(0.0, math.inf),
    wraps="torch",
    paper="Szegedy et al.: Rethinking the Inception Architecture for Computer Vision, CVPR 2016, section 7",
)
SPARSE = Card(
    name="sparse_label_smoothing",
    title="Label smoothing that takes the other classes as equally likely: as cheap as cross-entropy",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("accuracy", "mcr", "log_loss"),
    cost="O(n)",
    bounds=(0.0, math.inf),
    paper="Raymond et al.: Learning Symbolic Model-Agnostic Loss Functions via Meta-Learning, TPAMI 2023 (SparseLSR)",
)


@full_precision
def label_smoothing(scores: Tensor, targets: Tensor, *, share: float = 0.1) -> Tensor:
    """`mean -sum_c q_c log p_c` with `q = (1 - s) one-hot + s / C`; of one score, C is 2.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        share: s, in [0, 1); 0 is cross-entropy.

    Raises:
        ConfigError: shapes that fit no kind, or a share outside [0, 1).

    >>> round(float(label_smoothing(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))), 4)
    0.2269
    """
    below_one("share", share)
    kind = score_kind(scores, targets)
    if kind == "multiclass":
        return F.cross_entropy(scores, targets.long(), label_smoothing=share)
    if kind == "binary":
        scores, targets = flatten_binary(scores, targets)
    truth = targets.to(scores.dtype) * (1 - share) + share / 2
    return F.binary_cross_entropy_with_logits(scores, truth)


@full_precision
def sparse_label_smoothing(scores: Tensor, targets: Tensor, *, share: float = 0.1) -> Tensor:
    """`mean -(1 - s + s / C) log p_t - s (C - 1) / C log((1 - p_t) / (C - 1))`, p_t the probability of the target.

    It equals `label_smoothing` where the other classes are equally likely, and looks at no single one of them; for two
    classes it is the same.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        share: s, in [0, 1); 0 is cross-entropy.

    Raises:
        ConfigError: shapes that fit no kind, or a share outside [0, 1).

    >>> round(float(sparse_label_smoothing(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))), 4)
    0.3729
    """
    below_one("share", share)
    if score_kind(scores, targets) != "multiclass":
        return label_smoothing(scores, targets, share=share)
    classes, scores = scores.shape[1], from_largest(scores)
    own = F.one_hot(targets.long(), classes) > 0
    everything = torch.logsumexp(scores, dim=-1)
    others = torch.logsumexp(scores.masked_fill(own, -torch.inf), dim=-1)
    right = scores.gather(1, targets.long()[:, None])[:, 0] - everything
    wrong = others - everything - math.log(classes - 1)
    return -((1 - share + share / classes) * right + share * (classes - 1) / classes * wrong).mean()


ENTRIES = {
    "label_smoothing": LossEntry(card=LABEL_SMOOTHING, loss=label_smoothing),
    "sparse_label_smoothing": LossEntry(card=SPARSE, loss=sparse_label_smoothing),
}
