"""One minus soft Youden's J."""

from __future__ import annotations

from torch import Tensor

from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import Average, averaged, ratio

CARD = Card(
    name="anyloss_youden_j",
    title="AnyLoss: one minus soft Youden's J, sensitivity + specificity - 1",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("youden_j", "balanced_accuracy"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
    paper=PAPER,
)


@full_precision
def anyloss_youden_j(
    scores: Tensor,
    targets: Tensor,
    *,
    average: Average = "macro",
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`1 - (TP / P + TN / N - 1)`, each class against the rest.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        average: over classes or labels: "macro", "micro" or "weighted".
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    A class that is not in the batch has recall 1.

    >>> import torch
    >>> round(float(anyloss_youden_j(torch.tensor([9.0, 9.0, 9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    1.0
    """
    counts = anyloss_counts(scores, targets, amplification, threshold, leak)
    return 1 - averaged(lambda c: ratio(c.tp, c.positives) + ratio(c.tn, c.negatives) - 1, counts, average)


ENTRY = LossEntry(card=CARD, loss=anyloss_youden_j)
