"""Soft mean cost under a matrix of costs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts

CARD = Card(
    name="anyloss_cost",
    title="AnyLoss: soft mean cost of the predictions under a matrix of costs",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("cost", "accuracy", "mcr"),
    cost="O(n)",
    paper=PAPER,
)


@full_precision
def anyloss_cost(
    scores: Tensor,
    targets: Tensor,
    *,
    costs: Tensor | Sequence[Sequence[float]] | None = None,
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> Tensor:
    """`sum_ij C_ij M_ij / N`, M the soft confusion matrix with targets as rows; for labels the mean over labels.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        costs: C, `(K, K)`; `(2, 2)` for binary and labels. None is 0 on the diagonal and 1 elsewhere: the error rate.
        amplification, threshold, leak: how scores become predictions, as for `anyloss`.

    Raises:
        ConfigError: shapes that fit no kind, or costs of another shape than the confusion matrix.

    >>> import torch
    >>> misses_cost_five = [[0.0, 1.0], [5.0, 0.0]]
    >>> round(float(anyloss_cost(torch.tensor([9.0, -9.0]), torch.tensor([1, 1]), costs=misses_cost_five, leak=0.0)), 2)
    2.5
    """
    matrix = anyloss_counts(scores, targets, amplification, threshold, leak).matrix
    size = matrix.shape[-1]
    if costs is None:
        table = 1 - torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    else:
        table = torch.as_tensor(costs, dtype=matrix.dtype, device=matrix.device)
    if table.shape != (size, size):
        raise ConfigError(f"costs must have shape ({size}, {size}), rows for targets; got {tuple(table.shape)}")
    return (matrix * table).sum(dim=(-2, -1)).mean() / scores.shape[0]


ENTRY = LossEntry(card=CARD, loss=anyloss_cost)
