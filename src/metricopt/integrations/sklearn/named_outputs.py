"""An estimator without a model: it answers a scorer with labels that carry the user's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from torch import Tensor

from ..._scores import to_labels, to_probabilities


class NamedOutputs(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with labels, probabilities or scores of two or more classes; what it is asked about is ignored.

    Args:
        scores: raw scores, `(N,)` or `(N, K)`.
        classes: the labels of the classes, `(2,)` or `(K,)`.
    """

    def __init__(self, scores: Any = None, classes: Any = None) -> None:
        self.scores = scores
        self.classes = classes
        self.classes_ = classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> NDArray[Any]:
        labels = to_labels(self.scores, "binary" if self.scores.dim() == 1 else "multiclass")
        return np.asarray(self.classes[labels.numpy()])

    def predict_proba(self, X: Any) -> NDArray[Any]:
        return probabilities(self.scores)

    def decision_function(self, X: Any) -> NDArray[Any]:
        return np.asarray(self.scores.numpy())


class NumberOutputs(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with the numbers `(N,)` as they are."""

    def __init__(self, outputs: Any = None) -> None:
        self.outputs = outputs

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(self.outputs)


def probabilities(scores: Tensor) -> NDArray[Any]:
    """`(N, K)` float64 from scores `(N,)` or `(N, K)`; the largest one is that of the predicted class."""
    scores = scores.double()
    if scores.dim() == 2:
        return np.asarray(to_probabilities(scores, "multiclass").numpy())
    # Not 1 - p: the smaller one of the two would lose its digits.
    both = (to_probabilities(one, "binary").numpy() for one in (-scores, scores))
    return np.stack(list(both), axis=1)
