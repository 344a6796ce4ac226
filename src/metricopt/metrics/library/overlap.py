"""Metrics that count right and wrong labels: error, accuracy, F-beta, Jaccard.

0/0 counts as 0, as in scikit-learn with zero_division=0, to which the tests hold them equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from ..._checks import one_of, positive
from ..metric import Metric
from .card import MetricCard, make
from .inputs import Inputs, read

Average = Literal["macro", "micro", "weighted"]
AVERAGES = ("macro", "micro", "weighted")

MCR = MetricCard(
    name="mcr",
    title="Misclassification rate: share of wrong labels (multilabel: of wrong entries, the Hamming loss)",
    higher_is_better=False,
    depends_on="labels",
    kinds=("binary", "multiclass", "multilabel"),
    reference="1 - sklearn accuracy_score; multilabel: sklearn hamming_loss",
)
ACCURACY = MetricCard(
    name="accuracy",
    title="Share of right labels; this is what the MetricOpt paper's Table 3 prints in its column 'JAC'",
    depends_on="labels",
    kinds=("binary", "multiclass", "multilabel"),
    reference="sklearn accuracy_score; multilabel: 1 - sklearn hamming_loss",
)
F1 = MetricCard(
    name="f1",
    title="F1: harmonic mean of precision and recall",
    depends_on="labels",
    kinds=("binary", "multiclass", "multilabel"),
    reference="sklearn f1_score(zero_division=0)",
)
F_BETA = MetricCard(
    name="f_beta",
    title="F-beta: precision and recall, recall weighted beta times",
    depends_on="labels",
    kinds=("binary", "multiclass", "multilabel"),
    reference="sklearn fbeta_score(zero_division=0)",
)
JACCARD = MetricCard(
    name="jaccard",
    title="Jaccard index TP / (TP + FP + FN); not the paper's 'JAC', which is accuracy",
    depends_on="labels",
    kinds=("binary", "multiclass", "multilabel"),
    reference="sklearn jaccard_score(zero_division=0)",
)


def accuracy() -> Metric:
    """`mean(label == target)`; for multilabel over all entries.

    The MetricOpt paper calls it JAC: its values equal 1 - MCR, and J = F / (2 - F) does not hold for them.

    >>> import torch
    >>> accuracy()(torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0]))
    0.75
    """
    return make(ACCURACY, lambda scores, targets: _accuracy(read("accuracy", ACCURACY.kinds, scores, targets)))


def mcr() -> Metric:
    """`mean(label != target)`, lower is better; for multilabel over all entries.

    >>> import torch
    >>> mcr()(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([1, 1]))
    0.5
    """
    return make(MCR, lambda scores, targets: 1.0 - _accuracy(read("mcr", MCR.kinds, scores, targets)))


def f_beta(beta: float = 1.0, average: Average = "macro") -> Metric:
    """`(1 + b^2) P R / (b^2 P + R)` of the positive class, or averaged over classes or labels.

    Args:
        beta: weight of recall, > 0.
        average: over classes (multiclass) or labels (multilabel): "macro" counts each the same, "weighted" by
            its share of the targets, "micro" pools the counts. Binary is always the positive class.

    >>> import torch
    >>> round(f_beta(beta=2.0)(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0])), 4)
    0.8333
    """
    return _f_beta(F_BETA, positive("beta", beta), average, {"beta": beta})


def f1(average: Average = "macro") -> Metric:
    """F-beta with beta = 1.

    >>> import torch
    >>> round(f1()(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0])), 4)
    0.6667
    """
    return _f_beta(F1, 1.0, average, {})


def jaccard(average: Average = "macro") -> Metric:
    """`TP / (TP + FP + FN)` of the positive class, or averaged over classes or labels as `f_beta`.

    Differs from the paper: its column "JAC" is accuracy, see `accuracy`.

    >>> import torch
    >>> jaccard()(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0]))
    0.5
    """
    return _of_counts(JACCARD, lambda hits, alarms, missed: (hits, hits + alarms + missed), average, {})


def _accuracy(data: Inputs) -> float:
    return int((data.labels() == data.targets).sum()) / data.targets.numel()


def _f_beta(card: MetricCard, beta: float, average: Average, shown: dict[str, Any]) -> Metric:
    def ratio(hits: Tensor, alarms: Tensor, missed: Tensor) -> tuple[Tensor, Tensor]:
        part = (1 + beta * beta) * hits
        return part, part + beta * beta * missed + alarms

    return _of_counts(card, ratio, average, shown)


def _of_counts(
    card: MetricCard,
    ratio: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    average: Average,
    shown: dict[str, Any],
) -> Metric:
    """A ratio of hits, false alarms and misses, averaged over classes or labels."""
    one_of("average", average, AVERAGES)

    def value(scores: Tensor, targets: Tensor) -> float:
        data = read(card.name, card.kinds, scores, targets)
        hits, alarms, missed = (counts.double() for counts in data.counts())
        if average == "micro":
            hits, alarms, missed = (counts.sum(dim=0, keepdim=True) for counts in (hits, alarms, missed))
        part, whole = ratio(hits, alarms, missed)
        each = torch.where(whole > 0, part / whole, 0.0)
        if average == "weighted" and data.kind != "binary":
            weights = hits + missed
        else:  # a class that neither occurs nor is predicted does not count, a label does
            weights = (hits + alarms + missed > 0).double() if data.kind == "multiclass" else torch.ones_like(hits)
        return float((each * weights).sum() / weights.sum()) if bool(weights.any()) else 0.0

    return make(card, value, **shown, **_named(average))


def _named(average: Average) -> dict[str, object]:
    return {} if average == "macro" else {"average": average}
