"""Metrics of the whole ranking by score: average precision, AUROC, precision at a recall floor.

torchmetrics and scikit-learn define them and the tests hold them equal. They are computed here because a metric
is called hundreds of times per run: at 58,000 rows torchmetrics takes 53 ms for the average precision of seven
classes and 700 ms for a precision at a recall floor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..._checks import fraction
from ..._errors import MetricError
from ..metric import Metric
from .card import MetricCard, make
from .inputs import read

Counts = NDArray[np.float64]

AVERAGE_PRECISION = MetricCard(
    name="average_precision",
    title="Average precision, the area under the precision-recall steps (macro over classes or labels)",
    depends_on="order",
    kinds=("binary", "multiclass", "multilabel"),
    reference="sklearn average_precision_score",
)
AUROC = MetricCard(
    name="auroc",
    title="Area under the ROC curve (macro over classes, one against the rest, or over labels)",
    depends_on="order",
    kinds=("binary", "multiclass", "multilabel"),
    reference='sklearn roc_auc_score(multi_class="ovr")',
)
PRECISION_AT_RECALL = MetricCard(
    name="precision_at_recall",
    title="Best precision at any threshold whose recall reaches a floor (macro over classes or labels)",
    depends_on="order",
    kinds=("binary", "multiclass", "multilabel"),
    options={"floor": 0.9},
    reference="torchmetrics binary_precision_at_fixed_recall",
)


def average_precision() -> Metric:
    """`sum_i (R_i - R_{i-1}) P_i` over the distinct scores, from the highest down.

    Multiclass ranks the softmax probability of each class against the rest; multiclass and multilabel return the
    plain mean over columns. A column with no positive example counts 0, as in scikit-learn.

    >>> import torch
    >>> round(average_precision()(torch.tensor([0.9, 0.8, -0.3]), torch.tensor([1, 0, 1])), 4)
    0.8333
    """
    return make(AVERAGE_PRECISION, _mean_over_columns(AVERAGE_PRECISION, _average_precision))


def auroc() -> Metric:
    """Chance that a random positive outranks a random negative, ties counted half.

    Multiclass ranks the softmax probability of each class against the rest; multiclass and multilabel return the
    plain mean over columns. Raises a MetricError where a column holds one class only: it is undefined there.

    >>> import torch
    >>> auroc()(torch.tensor([0.9, 0.8, -0.3]), torch.tensor([1, 0, 1]))
    0.5
    """
    return make(AUROC, _mean_over_columns(AUROC, _auroc))


def precision_at_recall(floor: float) -> Metric:
    """`max { P_i : R_i >= floor }` over the distinct scores as thresholds.

    A column with no positive example counts 0. Multiclass and multilabel as for `average_precision`.

    Args:
        floor: the least recall, in [0, 1]. At 0 the empty prediction counts, whose precision is 1.

    >>> import torch
    >>> round(precision_at_recall(0.9)(torch.tensor([0.9, 0.8, -0.3]), torch.tensor([1, 0, 1])), 4)
    0.6667
    """
    fraction("floor", floor)

    def value(hits: Counts, misses: Counts) -> float:
        if hits[-1] == 0:
            return 0.0
        if floor == 0:
            return 1.0
        return float((hits / (hits + misses))[hits / hits[-1] >= floor].max())

    return make(PRECISION_AT_RECALL, _mean_over_columns(PRECISION_AT_RECALL, value), floor=floor)


def _mean_over_columns(card: MetricCard, value: Callable[[Counts, Counts], float]) -> Callable[..., float]:
    def mean(scores: Tensor, targets: Tensor) -> float:
        columns = read(card.name, card.kinds, scores, targets).columns()
        pairs = zip(*(c.contiguous().cpu().numpy() for c in columns), strict=True)
        return float(np.mean([value(*_cumulative_counts(s, t)) for s, t in pairs]))

    return mean


def _cumulative_counts(scores: NDArray[np.floating[Any]], targets: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """True and false positives among all scores at or above each distinct score, from the highest down."""
    order = np.argsort(-scores)
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    hits = np.cumsum(targets[order])[last].astype(np.float64)
    return hits, last + 1.0 - hits


def _average_precision(hits: Counts, misses: Counts) -> float:
    if hits[-1] == 0:
        return 0.0
    gained = np.diff(hits, prepend=0.0)
    # Sums, not np.dot: BLAS threads wait for each other on a busy machine.
    return float((gained * hits / (hits + misses)).sum() / hits[-1])


def _auroc(hits: Counts, misses: Counts) -> float:
    if hits[-1] == 0 or misses[-1] == 0:
        raise MetricError(
            f"auroc is undefined: a column of the targets holds {hits[-1]:.0f} positive and {misses[-1]:.0f} negative "
            "examples, and it compares pairs of both; measure it on examples of every class, or use "
            "'average_precision'"
        )
    # Trapezoids under hits as a function of misses.
    heights = hits + np.concatenate(([0.0], hits[:-1]))
    return float((heights * np.diff(misses, prepend=0.0)).sum() / (2 * hits[-1] * misses[-1]))
