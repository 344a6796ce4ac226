"""A scikit-learn classifier whose decisions are tuned for the metric that it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from ..._errors import ConfigError
from ..._types import Reads
from ...apps.table.model import ClassLabels, class_weights
from ...job import Outcome
from ...losses import cross_entropy
from ...metrics import Metric
from .base_fit import base_scores, fit_base, is_fitted, refuse_without_scores, shifted
from .checked_input import Counting, checked_table, checked_targets, counting_rows
from .crossed_tuning import identity_layer, tune_scores
from .division import Division, divide, why_not
from .fit_settings import FitSettings
from .named_outputs import probabilities
from .network_fit import TableTask, fit_network
from .wanted_metric import classifier_metric, moved_by_shift


class MetricOptClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network for tables, or any classifier that gives scores, tuned toward a metric by `metricopt.optimize`.

    `fit` trains, and then searches rows that the model was not trained on for a small change of it that improves the
    metric. The change is kept only if it is better, beyond chance, on rows that the search did not see: see `outcome_`.
    Tables may hold numbers, text, categories, dates and missing values.

    `predict`, `decision_function` and `predict_proba` agree with each other and are those of the tuned model. So
    probabilities are moved together with the threshold: a model tuned for F1 says 0.5 where the F1-optimal decision
    turns, not where half of the rows are positive. `score` is accuracy, as in all classifiers of scikit-learn.

    Args:
        metric: a name in `metricopt.METRICS` ("f1", "balanced_accuracy", "mcc", ...), the name of a scikit-learn
            scorer, a scorer, a metric function, or a callable of raw scores and class numbers 0..K-1 (for two classes
            one score a row; see `reads`). For two classes, the second of `classes_` is the positive one.
        base: None for a network of its own. Or a classifier with `predict_proba` or `decision_function` (LinearSVC),
            of scikit-learn, XGBoost, LightGBM, CatBoost or your own, whose output shift is tuned: one that is fitted
            stays as it is and is tuned on all rows, so give it rows that it has not seen; any other is cloned and
            fitted first. `clone`, and with it `cross_val_score`, forgets fits: wrap a fitted base in
            `sklearn.frozen.FrozenEstimator` to keep it.
        cv: where the rows come from that the model has not seen. A number of folds, or a splitter: every row is rated
            by a model that was trained without its fold, a shift of the scores is tuned on all of them and carried
            over to a model that is trained on all rows, as `TunedThresholdClassifierCV` does. None:
                `validation_fraction` of the rows is held out, the model is
            trained on the others, and phi may enter the network anywhere. "auto": 5 folds up to 10,000 rows, since a
            part of few rows proves nothing; None for more, and for metrics of order alone, which no shift moves.
        calls: of the metric that `fit` may make, test included; 0 trains only. With folds at least 174: five searches
            more are part of the test.
        method: what searches: "auto", the name of a method, or several.
        higher_is_better: the direction of a callable.
        bounds: the range of the metric, where it is not known.
        reads: what a callable is given: "scores", "probabilities" or "labels".
        hidden: widths of the network's hidden layers.
        dropout: chance of a hidden unit to be dropped while training.
        epochs: passes over the training rows, at most.
        batch_size: rows of a mini-batch; None takes about a thirtieth of the rows.
        learning_rate: at the start; it falls to nothing along a cosine.
        weight_decay: of AdamW.
        early_stopping: whether the weights of the epoch with the lowest loss on the held-out rows are taken, and
            training stops `patience` epochs after it.
        patience: see there.
        validation_fraction: the share of the rows that is held out without folds, class by class.
        acceptance: without folds, the share of the held-out rows that decides whether the change is kept. With folds
            and with a fitted base all rows decide, each by a search that did not see it. None keeps whatever looks
            better in the search.
        confidence: of the interval that must lie above zero.
        class_weight: "balanced", a mapping from labels to weights, or None; for the training, not for the metric.
        random_state: of everything random.
        device: where to train and search; the fitted model lives on the CPU.
        verbose: whether to draw progress bars.

    Attributes:
        classes_: the labels, ascending. n_features_in_, feature_names_in_: of the table.
        outcome_: what `metricopt.optimize` returned: accepted or not, the metric before and after with the interval of
            the gain, all ratings, the report. With folds or a base its model is one linear layer, from scores to
            scores. None where there was nothing to tune on.
        reason_: one sentence on what became of the tuning.
        metric_: the `Metric`.
        model_: the `TableModel`, encoder and network; it saves without pickle. Only without `base`.
        base_: the fitted base. shift_: the linear layer behind its log-probabilities. Only with `base`.
        epochs_: of the training. Only without `base`.

    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> model = MetricOptClassifier("f1", calls=180, epochs=8, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.predict_proba(X).shape
    (True, (569, 2))
    """

    def __init__(
        self,
        metric: Any = "f1",
        *,
        base: Any = None,
        cv: Any = "auto",
        calls: int = 1000,
        method: Any = "auto",
        higher_is_better: bool | None = None,
        bounds: tuple[float, float] | None = None,
        reads: Reads | None = None,
        hidden: tuple[int, ...] = (128, 64),
        dropout: float = 0.1,
        epochs: int = 100,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        early_stopping: bool = True,
        patience: int = 15,
        validation_fraction: float = 0.2,
        acceptance: float | None = 0.4,
        confidence: float = 0.95,
        class_weight: Any = None,
        random_state: Any = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.metric = metric
        self.base = base
        self.cv = cv
        self.calls = calls
        self.method = method
        self.higher_is_better = higher_is_better
        self.bounds = bounds
        self.reads = reads
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.acceptance = acceptance
        self.confidence = confidence
        self.class_weight = class_weight
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MetricOptClassifier:
        """Train, then tune.

        Args:
            X: `(N, F)`, a DataFrame or an array of numbers or objects.
            y: `(N,)`, the labels.
            sample_weight: `(N,)`, how much a row counts in the training. The metric counts every row once; rows of
                weight 0 are left out altogether.

        Raises:
            ConfigError, DataError: a parameter or a column cannot be used; the message says what would be right.
        """
        settings = FitSettings.of(self)
        for name in ("model_", "epochs_", "base_", "shift_"):  # of an earlier fit, perhaps with another base
            self.__dict__.pop(name, None)
        X = self._table(X, reset=True)
        y = checked_targets(X, y, numeric=False)
        rows = counting_rows(X, y, sample_weight)
        self.classes_ = np.unique(rows.y)
        if len(self.classes_) < 2:
            raise ConfigError(f"a classifier needs at least two classes, y holds 1 class: {self.classes_.tolist()}")
        if self.base is None:
            self._fit_network(rows, settings)
        elif is_fitted(self.base):
            self._take_base(rows, settings)
        else:
            self._fit_base(rows, settings)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The labels `(N,)`: the decision that the metric was tuned for."""
        scores = self._scores(X)
        codes = scores.argmax(dim=1) if scores.dim() == 2 else (scores > 0).long()
        return np.asarray(self.classes_[codes.numpy()])

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """`(N, K)`, of the tuned model, so not calibrated: the largest is that of the predicted label."""
        return probabilities(self._scores(X))

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Raw scores: `(N,)` for two classes, positive for the second; else `(N, K)`, the largest wins."""
        return np.asarray(self._scores(X).numpy())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.base is None:
            tags.input_tags.allow_nan = True
            tags.input_tags.string = True
            tags.input_tags.categorical = True
        else:
            tags.input_tags = get_tags(self.base).input_tags
        return tags

    # --- inside -----------------------------------------------------------------------------------

    def _fit_network(self, rows: Counting, settings: FitSettings) -> None:
        codes = self._codes(rows.y)
        per_class = self._class_weights(codes, rows.weights)
        loss = "cross_entropy" if per_class is None else partial(cross_entropy, class_weights=per_class)
        task = TableTask(
            table=rows.X,
            targets=codes,
            target=ClassLabels.fit(self.classes_),
            weights=_joined(rows.weights, per_class, codes),
            settings=settings,
        )
        metric, division = self._plan(rows, codes, settings)
        fitted = fit_network(task, division, metric, loss=loss, class_names=self._names())
        self.model_, self.epochs_ = fitted.model, fitted.epochs
        self._conclude(metric, fitted.outcome, division.reason)

    def _fit_base(self, rows: Counting, settings: FitSettings) -> None:
        """Fit a clone of the base, and tune its shift on rows that it, or the clones of the folds, had not seen."""
        codes = self._codes(rows.y)
        metric, division = self._plan(rows, codes, settings)
        each = _joined(rows.weights, self._class_weights(codes, rows.weights), codes)
        self.base_, scores = fit_base(self.base, rows.X, rows.y, self.classes_, each, division)
        self._tune_base(scores, codes[division.holdout], metric, division.reason, settings)

    def _take_base(self, rows: Counting, settings: FitSettings) -> None:
        """Tune the shift of a base that is fitted already on all rows."""
        if rows.weights is not None or self.class_weight is not None:
            raise ConfigError(
                "sample_weight and class_weight say how rows count in training, but base is fitted already; leave "
                "them out, or give a base that is not fitted"
            )
        refuse_without_scores(self.base)
        self.base_, self.classes_ = self.base, np.asarray(self.base.classes_)
        unknown = np.setdiff1d(rows.y, self.classes_)
        if len(unknown):
            raise ConfigError(f"y holds {unknown[:5].tolist()}, but base knows only {self.classes_[:10].tolist()}")
        codes, metric = self._codes(rows.y), self._metric()
        scores = base_scores(self.base_, rows.X, self.classes_)
        self._tune_base(scores, codes, metric, why_not(len(codes), codes, settings), settings)

    def _tune_base(
        self, scores: Tensor, codes: Tensor, metric: Metric, reason: str | None, settings: FitSettings
    ) -> None:
        outcome = None
        self.shift_: nn.Module = identity_layer(scores.shape[1])
        if reason is None:
            outcome = tune_scores(
                scores.float(),
                codes,
                metric,
                loss="cross_entropy",
                settings=settings,
                codes=codes,
                class_names=self._names(),
            )
            self.shift_ = outcome.model
        self._conclude(metric, outcome, reason)

    def _conclude(self, metric: Metric, outcome: Outcome | None, reason: str | None) -> None:
        self.metric_ = metric
        self.outcome_ = outcome
        self.reason_ = reason if outcome is None else outcome.reason

    def _scores(self, X: Any) -> Tensor:
        """`(N,)` of two classes, `(N, K)` of more, float64."""
        check_is_fitted(self)
        X = self._table(X, reset=False)
        if hasattr(self, "model_"):
            return self.model_.outputs(X)
        return shifted(self.shift_, base_scores(self.base_, X, self.classes_))

    def _table(self, X: Any, *, reset: bool) -> Any:
        if self.base is None:
            return checked_table(self, X, reset=reset)
        # The base checks its input itself; names and number of columns are noted for whoever asks this estimator.
        if len(getattr(X, "shape", (0, 0))) == 2:
            validate_data(self, X, skip_check_array=True, reset=reset)
        return X

    def _plan(self, rows: Counting, codes: Tensor, settings: FitSettings) -> tuple[Metric, Division]:
        metric = self._metric()
        return metric, divide(
            self.cv,
            len(codes),
            codes=codes,
            settings=settings,
            shift_helps=moved_by_shift(metric),
            splitting=rows.splitting,
        )

    def _metric(self) -> Metric:
        return classifier_metric(
            self.metric,
            self.classes_,
            higher_is_better=self.higher_is_better,
            bounds=self.bounds,
            reads=self.reads,
        )

    def _codes(self, y: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.searchsorted(self.classes_, y))

    def _names(self) -> list[str]:
        return [str(label) for label in self.classes_.tolist()]

    def _class_weights(self, codes: Tensor, weights: Tensor | None) -> Tensor | None:
        """`(K,)`, None where no class weights are asked for."""
        weight = self.class_weight
        if weight is None:
            return None
        if isinstance(weight, Mapping):
            numbers = {label: i for i, label in enumerate(self.classes_.tolist())}
            unknown = [label for label in weight if label not in numbers]
            if unknown:
                raise ConfigError(f"class_weight names {unknown[:5]}, but the classes are {list(numbers)[:10]}")
            weight = {numbers[label]: value for label, value in weight.items()}
        return class_weights(codes, len(self.classes_), weight, rows=weights)


def _joined(weights: Tensor | None, per_class: Tensor | None, codes: Tensor) -> Tensor | None:
    """Weights of rows and of classes as one weight for each row."""
    if per_class is None:
        return weights
    return per_class[codes] if weights is None else weights * per_class[codes]
