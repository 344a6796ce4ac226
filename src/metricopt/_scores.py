"""What raw scores mean: the one place that turns logits into probabilities and labels.

| kind       | scores             | targets                     | label              | probability |
|------------|--------------------|-----------------------------|--------------------|-------------|
| binary     | `(N,)` or `(N, 1)` | `(N,)` or `(N, 1)` in {0,1} | `score > 0`        | sigmoid     |
| multiclass | `(N, C)`, C >= 2   | `(N,)` in 0..C-1            | argmax             | softmax     |
| multilabel | `(N, C)`, C >= 2   | `(N, C)` in {0,1}           | `score > 0`        | sigmoid     |

A class for each position, `(N, C, ...)` or `(N, ..., C)` scores with `(N, ...)` targets, is binary or multiclass with
the positions as rows (`by_position`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._errors import ConfigError
from ._types import ScoreKind


def score_kind(scores: Tensor, targets: Tensor) -> ScoreKind:
    """The kind that these shapes have; raises ConfigError where they fit none."""
    wide = scores.dim() == 2 and scores.shape[1] > 1
    flat_targets = targets.dim() == 1 or (targets.dim() == 2 and targets.shape[1] == 1)
    if not wide and scores.dim() in (1, 2) and flat_targets and scores.shape[0] == targets.shape[0]:
        return "binary"
    if wide and targets.dim() == 1 and scores.shape[0] == targets.shape[0]:
        return "multiclass"
    if wide and targets.shape == scores.shape:
        return "multilabel"
    raise ConfigError(
        f"scores of shape {tuple(scores.shape)} do not go with targets of shape {tuple(targets.shape)}; "
        "give (N,) or (N, 1) scores for binary, (N, C) scores with (N,) targets for multiclass, "
        "(N, C) with (N, C) for multilabel"
    )


def class_axis(scores: Tensor, targets: Tensor) -> int | None:
    """Where the classes are in scores of a class for each position: 1, as in images, or -1, as in texts; None where
    these are no such scores and targets. Where both fit it is 1, as in torch's own cross-entropy."""
    if scores.dim() < 3 or targets.is_floating_point() or targets.dim() != scores.dim() - 1:
        return None
    if targets.shape[1:] == scores.shape[2:]:
        return 1
    return -1 if targets.shape[1:] == scores.shape[1:-1] else None


def by_position(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of a class for each position as `(M, C)`, targets as `(M,)`; whatever else they are, they stay.

    Positions whose target is negative (-100, as padding is marked) are left out.

    >>> scores, targets = by_position(torch.zeros(2, 5, 3, 3), torch.tensor([[[0, 1, -100]] * 3] * 2))
    >>> tuple(scores.shape), tuple(targets.shape)
    ((12, 5), (12,))
    """
    axis = class_axis(scores, targets)
    if axis is None or len(scores) != len(targets):
        return scores, targets
    scores = scores.movedim(axis, -1)
    scores, targets = scores.reshape(-1, scores.shape[-1]), targets.reshape(-1)
    there = targets >= 0
    return (scores, targets) if bool(there.all()) else (scores[there], targets[there])


def flatten_binary(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Binary scores and targets as `(N,)` each."""
    return scores.reshape(-1), targets.reshape(-1)


def to_probabilities(scores: Tensor, kind: ScoreKind) -> Tensor:
    """Probabilities of the same shape as `scores`; for binary the probability of class 1."""
    return torch.softmax(scores, dim=-1) if kind == "multiclass" else torch.sigmoid(scores)


def to_labels(scores: Tensor, kind: ScoreKind) -> Tensor:
    """Hard integer labels: `(N,)` for binary and multiclass, `(N, C)` for multilabel."""
    if kind == "multiclass":
        return scores.argmax(dim=-1)
    return (scores > 0).long()
