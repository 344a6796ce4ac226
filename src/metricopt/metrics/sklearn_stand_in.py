"""An estimator without a model: it answers a scikit-learn scorer with outputs that are already there."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from torch import Tensor

from .._errors import ConfigError
from .._scores import score_kind, to_labels, to_probabilities
from .._types import ScoreKind
from .from_function import to_array
from .from_torchmetrics import class_targets


class OutputsOfClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with labels, probabilities or scores; what it is asked about is ignored."""

    def __init__(self, scores: Any = None, kind: ScoreKind = "binary") -> None:
        self.scores = scores
        self.kind = kind
        width = 2 if kind == "binary" else scores.shape[1]
        self.classes_: Any = np.arange(width) if kind != "multilabel" else [np.arange(2)] * width

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:
        return to_array(to_labels(self.scores, self.kind))

    def predict_proba(self, X: Any) -> Any:
        probabilities = to_array(to_probabilities(self.scores, self.kind))
        return np.stack((1 - probabilities, probabilities), axis=1) if self.kind == "binary" else probabilities

    def decision_function(self, X: Any) -> Any:
        return to_array(self.scores)


class OutputsOfRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with the outputs as they are."""

    def __init__(self, outputs: Any = None) -> None:
        self.outputs = outputs

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> Any:
        return to_array(self.outputs)


def stand_in(outputs: Any, targets: Any, *, regression: bool) -> tuple[Any, Any]:
    """The estimator for these outputs, and the targets as an array.

    Raises:
        ConfigError: outputs or targets are no tensors, or their shapes fit no kind of problem.
    """
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
        raise ConfigError(
            f"a scikit-learn metric takes tensors or arrays of outputs and targets, got {type(outputs).__name__} and "
            f"{type(targets).__name__}; convert them with torch.as_tensor"
        )
    if regression:
        return OutputsOfRegressor(outputs), to_array(targets)
    kind = score_kind(outputs, targets)
    return OutputsOfClassifier(outputs, kind), to_array(class_targets(targets))
