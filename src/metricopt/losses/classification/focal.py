"""Focal loss: cross-entropy that looks away from what is easy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import not_negative
from ..._errors import ConfigError
from ..._scores import flatten_binary, score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import from_largest

CARD = Card(
    name="focal",
    title="Focal loss: cross-entropy times (1 - p) to the power gamma",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("accuracy", "mcr", "average_precision"),
    cost="O(n)",
    monotone=True,
    bounds=(0.0, math.inf),
    paper="Lin et al.: Focal Loss for Dense Object Detection, ICCV 2017, Eq. 5",
)


@full_precision
def focal(
    scores: Tensor,
    targets: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | Tensor | None = None,
) -> Tensor:
    """`mean -a_t (1 - p_t)^g log p_t`, p_t the probability of what is right; over examples, and labels.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        gamma: g, >= 0; 0 is cross-entropy, 2 the paper's choice.
        alpha: weight of positives, 1 - alpha is that of negatives (the paper's detector has 0.25); for classes one
            weight each. None weighs all alike.

    Raises:
        ConfigError: shapes that fit no kind, a negative gamma, or weights of the wrong length.

    Beside kornia's `binary_focal_loss_with_logits`, n = 4,096, float64, with and without alpha: value and gradient
    equal.
    Its `focal_loss` of K classes is a K-th of this one: it takes the mean over examples times classes.

    >>> import torch
    >>> round(float(focal(torch.zeros(4), torch.tensor([0, 1, 1, 0]))), 4)
    0.1733
    """
    not_negative("gamma", gamma)
    kind = score_kind(scores, targets)
    if kind == "multiclass":
        scores = from_largest(scores)
        own = F.one_hot(targets.long(), scores.shape[1]) > 0
        others = torch.logsumexp(scores.masked_fill(own, -torch.inf), dim=-1)
        value = _of_margin(scores.gather(1, targets.long()[:, None])[:, 0] - others, gamma)
        return value.mean() if alpha is None else (value * _class_weights(alpha, scores)[targets.long()]).mean()
    if kind == "binary":
        scores, targets = flatten_binary(scores, targets)
    truth = targets.to(scores.dtype)
    value = _of_margin((2 * truth - 1) * scores, gamma)
    if alpha is None:
        return value.mean()
    weight = _label_weights(alpha, scores)
    return (value * (1 - weight + (2 * weight - 1) * truth)).mean()


def _of_margin(margin: Tensor, gamma: float) -> Tensor:
    """`(1 - p)^g (-log p)` of the log-odds of what is right; a power of 1 - p has no slope where it rounds to 0."""
    return torch.exp(-gamma * F.softplus(margin)) * F.softplus(-margin)


def _class_weights(alpha: float | Sequence[float] | Tensor, scores: Tensor) -> Tensor:
    weights = torch.as_tensor(alpha, dtype=scores.dtype, device=scores.device)
    if weights.shape != scores.shape[1:]:
        raise ConfigError(f"alpha must have one weight for each of the {scores.shape[1]} classes, got {alpha!r}")
    return weights


def _label_weights(alpha: float | Sequence[float] | Tensor, scores: Tensor) -> Tensor:
    weights = torch.as_tensor(alpha, dtype=scores.dtype, device=scores.device)
    if weights.dim() > 0 and weights.shape != scores.shape[1:]:
        raise ConfigError(f"alpha must be one number, or one for each column of the scores; got {alpha!r}")
    return weights


ENTRY = LossEntry(card=CARD, loss=focal)
