"""A scikit-learn regressor whose outputs are tuned for the metric that it is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..._errors import ConfigError
from ...apps.table.model import TargetScale
from ...losses.regression.differences import mse
from .checked_input import checked_table, checked_targets, counting_rows
from .division import divide
from .fit_settings import FitSettings
from .network_fit import TableTask, fit_network
from .regression_metric import regressor_metric


class MetricOptRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A network for tables, trained on the squared error and tuned toward a metric by `metricopt.optimize`.

    As `MetricOptClassifier`: `fit` trains, searches rows that the network was not trained on for a small change of it
    that improves the metric, and keeps the change only if it is better, beyond chance, on rows that the search did not
    see. `score` is R^2, as in all regressors of scikit-learn.

    Args:
        metric: "mae", "medae", "mse", "rmse", "mape", "r2", the name of a scikit-learn scorer, a scorer, a metric
            function, or a callable of predictions and targets in the units of `y`. An error is shown as itself, also
            where its scorer is named `neg_...`: lower is better.
        bounds: the range of the metric. By default it is taken from the data: from the value of a perfect prediction
            to one that is twice as far from it as that of predicting the mean; what is worse counts as the latter.
        cv, calls, method, higher_is_better, hidden, dropout, epochs, batch_size, learning_rate, weight_decay,
            early_stopping, patience, validation_fraction, acceptance, confidence, random_state, device, verbose: as
            in `MetricOptClassifier`. With folds, a shift and a factor of the predictions are tuned.

    Attributes:
        n_features_in_, feature_names_in_: of the table.
        outcome_, reason_, metric_, model_, epochs_: as in `MetricOptClassifier`.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = MetricOptRegressor("neg_median_absolute_error", calls=180, epochs=8, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.3, model.outcome_.higher_is_better
    (True, False)
    """

    def __init__(
        self,
        metric: Any = "neg_mean_absolute_error",
        *,
        cv: Any = "auto",
        calls: int = 1000,
        method: Any = "auto",
        higher_is_better: bool | None = None,
        bounds: tuple[float, float] | None = None,
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
        random_state: Any = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.metric = metric
        self.cv = cv
        self.calls = calls
        self.method = method
        self.higher_is_better = higher_is_better
        self.bounds = bounds
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
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MetricOptRegressor:
        """Train, then tune.

        Args:
            X: `(N, F)`, a DataFrame or an array of numbers or objects.
            y: `(N,)`, numbers.
            sample_weight: `(N,)`, how much a row counts in the training. The metric counts every row once; rows of
                weight 0 are left out altogether.

        Raises:
            ConfigError, DataError: a parameter or a column cannot be used; the message says what would be right.
        """
        settings = FitSettings.of(self)
        X = checked_table(self, X, reset=True)
        y = checked_targets(X, y, numeric=True)
        rows = counting_rows(X, y, sample_weight)
        if len(rows.y) < 2:
            raise ConfigError("a regressor needs at least two rows that count, got n_samples = 1")
        numbers = torch.from_numpy(np.array(rows.y))
        scale = TargetScale.fit(numbers, rows.weights)
        task = TableTask(
            table=rows.X,
            targets=scale.to_standard(numbers),
            target=scale,
            weights=rows.weights,
            settings=settings,
        )
        division = divide(
            self.cv, len(numbers), codes=None, settings=settings, shift_helps=True, splitting=rows.splitting
        )
        self.metric_ = regressor_metric(
            self.metric, scale, task.targets, higher_is_better=self.higher_is_better, bounds=self.bounds
        )
        fitted = fit_network(task, division, self.metric_, loss=mse)
        self.model_, self.epochs_, self.outcome_ = fitted.model, fitted.epochs, fitted.outcome
        self.reason_ = division.reason if fitted.outcome is None else fitted.outcome.reason
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """`(N,)` float64, in the units of `y`."""
        check_is_fitted(self)
        return np.asarray(self.model_.outputs(checked_table(self, X, reset=False)).numpy())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
