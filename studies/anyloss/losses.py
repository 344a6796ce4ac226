"""The losses of the study, all as `(scores, labels, share) -> scalar` so that a population can map over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metricopt._registry import Registry
from metricopt._types import LossFunction
from metricopt.losses import cross_entropy, get_loss
from metricopt.losses.confusion.counts import TINY, Counts, ratio

#: Scores (N,), labels (N,) and the share of positives in the training part, a scalar.
SharedLoss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class StudyLoss:
    """One loss.

    Args:
        title: in words.
        loss: what is minimised; also what stops the training and chooses the rate.
        aim: the metric that it is made for; None for those that every metric uses.
    """

    title: str
    loss: SharedLoss
    aim: str | None = None


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    """`mean (s(z) - y)^2`, s the sigmoid: the Brier score.

    >>> float(squared_error(torch.zeros(2), torch.tensor([0.0, 1.0])))
    0.25
    """
    return (torch.sigmoid(scores) - labels).square().mean()


def weighted_cross_entropy(scores: Tensor, labels: Tensor, share: Tensor) -> Tensor:
    """Cross-entropy in which both classes weigh the same: `1 / (2 (1 - share))` and `1 / (2 share)`."""
    return cross_entropy(scores, labels, class_weights=torch.stack([0.5 / (1 - share), 0.5 / share]))


def expected_g_mean(counts: Counts) -> Tensor:
    """Geometric mean of the soft recalls, for the score-oriented loss, which has it under no name."""
    recalls = ratio(counts.tp, counts.positives) * ratio(counts.tn, counts.negatives)
    return (recalls.clamp(min=0) + TINY).sqrt()


def _plain(loss: LossFunction) -> SharedLoss:
    return lambda scores, labels, share: loss(scores, labels)


LOSSES: Registry[StudyLoss] = Registry("loss of the study")
LOSSES.add("mse", StudyLoss(title="MSE", loss=_plain(squared_error)))
LOSSES.add("bce", StudyLoss(title="BCE", loss=_plain(cross_entropy)))
LOSSES.add("bce_weighted", StudyLoss(title="BCE, classes weighted", loss=weighted_cross_entropy))
for _metric, _anyloss, _score in (
    ("accuracy", "anyloss_accuracy", "accuracy"),
    ("f1", "anyloss_f_beta", "f1"),
    ("g_mean", "anyloss_g_mean", expected_g_mean),
    ("balanced_accuracy", "anyloss_balanced_accuracy", "balanced_accuracy"),
):
    _words = _metric.replace("_", " ").replace("f1", "F1").replace("g mean", "G-mean")
    LOSSES.add(
        f"score_oriented_{_metric}",
        StudyLoss(
            title=f"score-oriented, {_words}", loss=_plain(get_loss("score_oriented", score=_score)), aim=_metric
        ),
    )
    LOSSES.add(
        f"anyloss_{_metric}", StudyLoss(title=f"AnyLoss, {_words}", loss=_plain(get_loss(_anyloss)), aim=_metric)
    )
