"""One minus soft precision at the threshold that reaches a recall."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import fraction
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import as_columns
from .amplify import AMPLIFICATION, LEAK, amplified
from .anyloss import PAPER
from .counts import Average, averaged, ratio, soft_counts

CARD = Card(
    name="anyloss_precision_at_recall",
    title="AnyLoss: one minus soft precision at the threshold that reaches a recall",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("precision_at_recall", "average_precision"),
    cost="O(n log n)",
    bounds=(0.0, 1.0),
    paper=PAPER + "; the threshold as in Mackey et al.: Constrained Classification and Ranking via Quantiles, 2018",
)


@full_precision
def anyloss_precision_at_recall(
    scores: Tensor,
    targets: Tensor,
    *,
    floor: float = 0.9,
    average: Average = "macro",
    amplification: float = AMPLIFICATION,
    leak: float = LEAK,
) -> Tensor:
    """`1 - TP / (TP + FP)` of the predictions `A(z - q)`, q the largest score with a hard recall of at least `floor`.

    q is the score of a positive of this batch, one for each column, and moves with it: the loss does not change when
    a number is added to all scores. Classes are taken one against the rest by their log-odds.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        floor: the recall to be reached, in [0, 1].
        average: over classes or labels: "macro", "micro" or "weighted".
        amplification, leak: how scores become predictions, as for `anyloss`.

    A column without positives counts 0 for "macro" over labels.

    >>> import torch
    >>> scores, targets = torch.tensor([9.0, 4.0, -4.0, -9.0]), torch.tensor([1, 0, 1, 0])
    >>> round(float(anyloss_precision_at_recall(scores, targets, floor=0.5, leak=0.0)), 2)
    0.03
    """
    fraction("floor", floor)
    columns, truth, kind = as_columns(scores, targets)
    shifted = columns - quantiles(columns, truth, floor)
    if kind == "binary":
        shifted, truth = shifted[:, 0], truth[:, 0]
    counts = soft_counts(shifted, truth, lambda z: amplified(z, amplification, 0.5, leak))
    return 1 - averaged(lambda c: ratio(c.tp, c.predicted), counts, average)


def quantiles(columns: Tensor, truth: Tensor, floor: float) -> Tensor:
    """`(1, C)`: the score that a share `floor` of the positives of each column reaches; 0 without positives."""
    positives = truth > 0
    found = columns.masked_fill(~positives, -torch.inf).sort(dim=0, descending=True).values
    # A share such as 0.15 of 100 is 15, which no rounding may make 16.
    wanted = floor * positives.sum(dim=0, keepdim=True).double() - 1e-9
    needed = wanted.ceil().long() - 1
    return torch.where(positives.any(dim=0, keepdim=True), found.gather(0, needed.clamp(min=0)), 0.0)


ENTRY = LossEntry(card=CARD, loss=anyloss_precision_at_recall)
