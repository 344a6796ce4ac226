"""One minus the soft Matthews correlation."""

from __future__ import annotations

import torch
from torch import Tensor

from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import floor

CARD = Card(
    name="anyloss_mcc",
    title="AnyLoss: one minus the soft Matthews correlation",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("mcc", "kappa"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
    paper=PAPER,
)


@full_precision
def anyloss_mcc(
    scores: Tensor,
    targets: Tensor,
    *,
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`1 - (TP TN - FP FN) / sqrt((TP + FP) P (TN + FN) N)`; for classes Gorodkin's R_K, for labels the mean.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    A batch of one class, where the correlation is 0/0, counts 0.

    >>> import torch
    >>> round(float(anyloss_mcc(torch.tensor([9.0, -9.0, -9.0, -9.0]), torch.tensor([1, 1, 0, 0]), leak=0.0)), 2)
    0.43
    """
    counts = anyloss_counts(scores, targets, amplification, threshold, leak)
    tp, predicted, positives = counts.tp / counts.n, counts.predicted / counts.n, counts.positives / counts.n
    if counts.kind == "multiclass":
        covariance = tp.sum() - (predicted * positives).sum()
        spread = (1 - predicted.square().sum()) * (1 - positives.square().sum())
        mixed = (counts.positives < counts.n).all()
    else:
        covariance = tp - predicted * positives
        spread = predicted * (1 - predicted) * positives * (1 - positives)
        mixed = (counts.positives > 0) & (counts.positives < counts.n)
    # Below the root, so that its slope stays finite; with one class only what is left is rounding.
    correlation = covariance / (spread.clamp(min=0) + floor(tp) ** 2).sqrt()
    return 1 - torch.where(mixed, correlation, 0.0).mean()


ENTRY = LossEntry(card=CARD, loss=anyloss_mcc)
