"""Cross-entropy with classes weighted by the inverse of their effective number of examples."""

from __future__ import annotations

import math

from torch import Tensor

from ..._checks import below_one
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .class_counts import Counts, counts_of
from .cross_entropy import cross_entropy

CARD = Card(
    name="class_balanced",
    title="Class-balanced cross-entropy: weights from the effective number of examples of each class",
    targets=("binary", "multiclass"),
    aims_at=("balanced_accuracy", "g_mean", "youden_j", "f1"),
    cost="O(n)",
    monotone=True,
    bounds=(0.0, math.inf),
    paper="Cui et al.: Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, Eq. 10",
    wraps="torch",
)


@full_precision
def class_balanced(
    scores: Tensor, targets: Tensor, *, beta: float = 0.9999, class_counts: Counts | None = None
) -> Tensor:
    """`mean -w_t log p_t` with `w_c = (1 - b) / (1 - b^n_c)`, scaled so that the weights of all classes add up to K.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, K)`.
        targets: binary or class indices.
        beta: b, in [0, 1): 0 weighs classes alike, towards 1 by the inverse of their counts.
        class_counts: `(K,)` counts of the training set, `(2,)` for binary with the negatives first. None counts the
            batch; a class that has no example then counts as having one.

    Raises:
        ConfigError: shapes that fit no kind, multilabel targets, or counts of the wrong length.

    >>> import torch
    >>> loss = class_balanced(torch.zeros(4), torch.tensor([0, 0, 0, 1]), class_counts=[300, 100])
    >>> round(float(loss), 4)
    0.5212
    """
    below_one("beta", beta)
    weights = effective_weights(counts_of(scores, targets, class_counts, CARD.name), beta)
    return cross_entropy(scores, targets, class_weights=weights)


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """`(1 - b) / (1 - b^n)` for each class, scaled to a mean of 1."""
    # expm1 because 1 - b^n cancels for b near 1.
    inverse = 1 / -(counts.clamp(min=1) * math.log(beta)).expm1() if beta > 0 else counts * 0 + 1
    return inverse / inverse.mean()


ENTRY = LossEntry(card=CARD, loss=class_balanced)
