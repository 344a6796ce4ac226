"""One minus the soft Jaccard index."""

from __future__ import annotations

from torch import Tensor

from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import Average, averaged, ratio

CARD = Card(
    name="anyloss_jaccard",
    title="AnyLoss: one minus the soft Jaccard index",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("jaccard", "f1", "f_beta"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, 1.0),
    paper=PAPER,
)


@full_precision
def anyloss_jaccard(
    scores: Tensor,
    targets: Tensor,
    *,
    average: Average = "macro",
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`1 - TP / (TP + FN + FP)`.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        average: over classes or labels: "macro", "micro" or "weighted".
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    >>> import torch
    >>> round(float(anyloss_jaccard(torch.tensor([9.0, -9.0, -9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    0.5
    """
    counts = anyloss_counts(scores, targets, amplification, threshold, leak)
    return 1 - averaged(lambda c: ratio(c.tp, c.positives + c.fp), counts, average)


ENTRY = LossEntry(card=CARD, loss=anyloss_jaccard)
