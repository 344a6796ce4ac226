"""Rates of the four cells of a binary confusion matrix: what limits are usually set on.

0/0 counts as 0, as in scikit-learn with zero_division=0.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..metric import Metric
from .card import MetricCard, make
from .inputs import read

PRECISION = MetricCard(
    name="precision",
    title="Precision: share of positives among those that are called positive",
    depends_on="labels",
    kinds=("binary",),
    reference="sklearn precision_score(zero_division=0)",
)
RECALL = MetricCard(
    name="recall",
    title="Recall, or true positive rate: share of the positives that is found",
    depends_on="labels",
    kinds=("binary",),
    reference="sklearn recall_score(zero_division=0)",
)
SPECIFICITY = MetricCard(
    name="specificity",
    title="Specificity, or true negative rate: share of the negatives that is left alone",
    depends_on="labels",
    kinds=("binary",),
    reference="sklearn recall_score(pos_label=0, zero_division=0)",
)
FALSE_POSITIVE_RATE = MetricCard(
    name="false_positive_rate",
    title="False positive rate: share of the negatives that is called positive",
    higher_is_better=False,
    depends_on="labels",
    kinds=("binary",),
    reference="1 - sklearn recall_score(pos_label=0), 0 without negatives",
)
SELECTION_RATE = MetricCard(
    name="selection_rate",
    title="Selection rate: share of all examples that is called positive, for limits on how many may be",
    higher_is_better=False,
    depends_on="labels",
    kinds=("binary",),
    perfect_is_one=False,
    perfect_is_best=False,
    reference="mean of the labels",
)


def precision() -> Metric:
    """`TP / (TP + FP)`.

    >>> import torch
    >>> precision()(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0]))
    0.5
    """
    return _rate(PRECISION, lambda said, true: ((said & true).sum(), said.sum()))


def recall() -> Metric:
    """`TP / (TP + FN)`.

    >>> import torch
    >>> recall()(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0]))
    1.0
    """
    return _rate(RECALL, lambda said, true: ((said & true).sum(), true.sum()))


def specificity() -> Metric:
    """`TN / (TN + FP)`.

    >>> import torch
    >>> specificity()(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([1, 0, 0]))
    0.5
    """
    return _rate(SPECIFICITY, lambda said, true: ((~said & ~true).sum(), (~true).sum()))


def false_positive_rate() -> Metric:
    """`FP / (TN + FP)`, lower is better.

    >>> import torch
    >>> false_positive_rate()(torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([1, 0, 0, 0]))
    0.3333333333333333
    """
    return _rate(FALSE_POSITIVE_RATE, lambda said, true: ((said & ~true).sum(), (~true).sum()))


def selection_rate() -> Metric:
    """`(TP + FP) / N`, lower is better.

    >>> import torch
    >>> selection_rate()(torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([1, 0, 0, 0]))
    0.5
    """
    return _rate(SELECTION_RATE, lambda said, true: (said.sum(), len(said)))


def _rate(card: MetricCard, count: Callable[[Tensor, Tensor], tuple[Tensor, Tensor | int]]) -> Metric:
    def value(scores: Tensor, targets: Tensor) -> float:
        data = read(card.name, card.kinds, scores, targets)
        part, whole = count(data.labels().bool(), data.targets.bool())
        return int(part) / int(whole) if int(whole) else 0.0

    return make(card, value)
