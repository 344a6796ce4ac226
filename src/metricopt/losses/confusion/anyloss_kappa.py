"""One minus soft Cohen's kappa."""

from __future__ import annotations

from torch import Tensor

from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import floor

CARD = Card(
    name="anyloss_kappa",
    title="AnyLoss: one minus soft Cohen's kappa, the agreement beyond chance",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("kappa", "mcc"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
    paper=PAPER,
)


@full_precision
def anyloss_kappa(
    scores: Tensor,
    targets: Tensor,
    *,
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`1 - (o - e) / (1 - e)`, o the soft accuracy and e that of chance with the same margins; for labels the mean.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    A batch where chance alone agrees, which is 0/0, counts 0.

    >>> import torch
    >>> round(float(anyloss_kappa(torch.tensor([9.0, -9.0, -9.0, -9.0]), torch.tensor([1, 1, 0, 0]), leak=0.0)), 2)
    0.51
    """
    counts = anyloss_counts(scores, targets, amplification, threshold, leak)
    tp, predicted, positives = counts.tp / counts.n, counts.predicted / counts.n, counts.positives / counts.n
    if counts.kind == "multiclass":
        chance = (predicted * positives).sum()
        excess = tp.sum() - chance
    else:
        chance = predicted * positives + (1 - predicted) * (1 - positives)
        excess = 2 * (tp - predicted * positives)
    return 1 - (excess / (1 - chance + floor(tp))).mean()


ENTRY = LossEntry(card=CARD, loss=anyloss_kappa)
