"""Metrics made from the whole confusion matrix: G-mean, balanced accuracy, Matthews correlation, Cohen's kappa.

For constant predictions or absent classes torchmetrics returns other numbers than scikit-learn, whose numbers these
are. None of the four is defined for multilabel problems in scikit-learn or imbalanced-learn, nor here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..._errors import MetricError
from ..metric import Metric
from .card import MetricCard, make
from .inputs import read

#: Rows are targets, columns are predicted labels.
Matrix = NDArray[np.int64]

G_MEAN = MetricCard(
    name="g_mean",
    title="G-mean: geometric mean of the recalls of all classes",
    depends_on="labels",
    kinds=("binary", "multiclass"),
    reference="imbalanced-learn geometric_mean_score (correction 0)",
)
BALANCED_ACCURACY = MetricCard(
    name="balanced_accuracy",
    title="Balanced accuracy: mean of the recalls of all classes",
    depends_on="labels",
    kinds=("binary", "multiclass"),
    reference="sklearn balanced_accuracy_score",
)
MCC = MetricCard(
    name="mcc",
    title="Matthews correlation of labels and targets",
    bounds=(-1.0, 1.0),
    depends_on="labels",
    kinds=("binary", "multiclass"),
    reference="sklearn matthews_corrcoef",
)
KAPPA = MetricCard(
    name="kappa",
    title="Cohen's kappa: agreement beyond chance",
    bounds=(-1.0, 1.0),
    depends_on="labels",
    kinds=("binary", "multiclass"),
    reference="sklearn cohen_kappa_score",
)


def g_mean() -> Metric:
    """`(prod_c recall_c)^(1/C)` over the classes that occur in the targets or in the predictions.

    A class that is predicted but occurs in no target has recall 0, so the value is 0 then, as in imbalanced-learn.

    >>> import torch
    >>> round(g_mean()(torch.tensor([1.0, -1.0, -1.0]), torch.tensor([1, 1, 0])), 4)
    0.7071
    """
    return make(G_MEAN, _of_matrix(G_MEAN, _g_mean))


def balanced_accuracy() -> Metric:
    """`mean_c recall_c` over the classes that occur in the targets.

    >>> import torch
    >>> balanced_accuracy()(torch.tensor([1.0, -1.0, -1.0]), torch.tensor([1, 1, 0]))
    0.75
    """
    return make(BALANCED_ACCURACY, _of_matrix(BALANCED_ACCURACY, _balanced_accuracy))


def mcc() -> Metric:
    """`(c s - sum_k p_k t_k) / sqrt((s^2 - sum p^2)(s^2 - sum t^2))`; 0 where a factor is 0.

    c labels of s are right, class k is predicted p_k times and occurs t_k times. Bounds (-1, 1).

    >>> import torch
    >>> mcc()(torch.tensor([1.0, -1.0, -1.0]), torch.tensor([1, 1, 0]))
    0.5
    """
    return make(MCC, _of_matrix(MCC, _mcc))


def kappa() -> Metric:
    """`(p_o - p_e) / (1 - p_e)`, p_o the agreement, p_e the agreement expected by chance. Bounds (-1, 1).

    Raises a MetricError where targets and predictions are one and the same class: it is 0/0 there.

    >>> import torch
    >>> round(kappa()(torch.tensor([1.0, -1.0, -1.0]), torch.tensor([1, 1, 0])), 4)
    0.4
    """
    return make(KAPPA, _of_matrix(KAPPA, _kappa))


def _of_matrix(card: MetricCard, value: Callable[[Matrix], float]) -> Callable[[Tensor, Tensor], float]:
    def measured(scores: Tensor, targets: Tensor) -> float:
        return value(read(card.name, card.kinds, scores, targets).matrix().numpy())

    return measured


def _recalls(matrix: Matrix) -> NDArray[np.float64]:
    """Recall of every class; 0 for a class without targets."""
    recalls: NDArray[np.float64] = np.diagonal(matrix) / np.maximum(matrix.sum(axis=1), 1)
    return recalls


def _g_mean(matrix: Matrix) -> float:
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    recalls = _recalls(matrix)[occurs]
    # Through logarithms: the product of a thousand recalls would underflow.
    return float(np.exp(np.log(recalls).mean())) if recalls.all() else 0.0


def _balanced_accuracy(matrix: Matrix) -> float:
    return float(_recalls(matrix)[matrix.sum(axis=1) > 0].mean())


def _mcc(matrix: Matrix) -> float:
    # Python integers: a product of four counts of a large split overflows 64 bits.
    predicted, occurring = ([int(v) for v in matrix.sum(axis=axis)] for axis in (0, 1))
    total, right = sum(occurring), int(np.trace(matrix))
    covariance = right * total - sum(p * t for p, t in zip(predicted, occurring, strict=True))
    spread = (total**2 - sum(p * p for p in predicted)) * (total**2 - sum(t * t for t in occurring))
    return covariance / math.sqrt(spread) if spread else 0.0


def _kappa(matrix: Matrix) -> float:
    predicted, occurring = ([int(v) for v in matrix.sum(axis=axis)] for axis in (0, 1))
    total, right = sum(occurring), int(np.trace(matrix))
    chance = sum(p * t for p, t in zip(predicted, occurring, strict=True))
    if chance == total**2:
        raise MetricError(
            "kappa is undefined (0/0): all targets and all predictions are one and the same class; "
            "measure it on examples of at least two classes, or use 'accuracy'"
        )
    return (right * total - chance) / (total**2 - chance)
