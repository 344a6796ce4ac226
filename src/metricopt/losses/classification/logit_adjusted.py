"""Cross-entropy on scores shifted by the logarithm of the class priors."""

from __future__ import annotations

import math

from torch import Tensor

from ..._checks import not_negative
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import from_largest
from .class_counts import Counts, counts_of
from .cross_entropy import cross_entropy

CARD = Card(
    name="logit_adjusted",
    title="Logit-adjusted cross-entropy: larger margins for rare classes",
    targets=("binary", "multiclass"),
    aims_at=("balanced_accuracy", "g_mean", "youden_j"),
    cost="O(n)",
    monotone=True,
    bounds=(0.0, math.inf),
    paper="Menon et al.: Long-Tail Learning via Logit Adjustment, ICLR 2021, Eq. 10",
    wraps="torch",
)


@full_precision
def logit_adjusted(scores: Tensor, targets: Tensor, *, tau: float = 1.0, class_counts: Counts | None = None) -> Tensor:
    """Cross-entropy of `z_c + tau log pi_c`, pi the class priors; binary: of `z + tau log(pi_1 / pi_0)`.

    With tau = 1 its minimiser, without the shift, minimises the balanced error.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, K)`; at inference they are used as they are.
        targets: binary or class indices.
        tau: >= 0; 0 is cross-entropy.
        class_counts: `(K,)` counts of the training set, `(2,)` for binary with the negatives first. None counts the
            batch; a class that has no example then counts as having one.

    Raises:
        ConfigError: shapes that fit no kind, multilabel targets, or counts of the wrong length.

    >>> import torch
    >>> loss = logit_adjusted(torch.zeros(2), torch.tensor([0, 1]), class_counts=[75, 25])
    >>> round(float(loss), 4)  # the mean of -log .75 and -log .25
    0.837
    """
    not_negative("tau", tau)
    logs = counts_of(scores, targets, class_counts, CARD.name).clamp(min=1).log()
    if scores.dim() == 1 or scores.shape[1] == 1:
        return cross_entropy(scores + tau * (logs[1] - logs[0]), targets)
    return cross_entropy(from_largest(scores) + tau * logs, targets)


ENTRY = LossEntry(card=CARD, loss=logit_adjusted)
