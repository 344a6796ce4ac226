"""One minus soft F-beta."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import TINY, Average, averaged

CARD = Card(
    name="anyloss_f_beta",
    title="AnyLoss: one minus soft F-beta",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("f1", "f_beta", "jaccard"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, 1.0),
    paper=PAPER,
)


@full_precision
def anyloss_f_beta(
    scores: Tensor,
    targets: Tensor,
    *,
    beta: float = 1.0,
    average: Average = "macro",
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`1 - (1 + b^2) TP / (b^2 (TP + FN) + TP + FP)`.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        beta: b, weight of recall against precision, > 0.
        average: over classes or labels: "macro", "micro" or "weighted".
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    Compared with the authors' perceptron code at L = 73 and leak 0 on 100 random batches: values within 4e-14, its
    derivatives within 8e-14.

    >>> import torch
    >>> round(float(anyloss_f_beta(torch.tensor([9.0, -9.0, -9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    0.33
    """
    square = positive("beta", beta) ** 2
    counts = anyloss_counts(scores, targets, amplification, threshold, leak)
    one = counts.tp.new_ones(())
    # 1 - (1 + b^2) tp / whole, in one call: see amplify.py
    return averaged(
        lambda c: torch.addcdiv(one, c.tp, c.predicted + (square * c.positives + TINY), value=-(1 + square)),
        counts,
        average,
    )


ENTRY = LossEntry(card=CARD, loss=anyloss_f_beta)
