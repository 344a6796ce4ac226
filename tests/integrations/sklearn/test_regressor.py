"""`MetricOptRegressor`."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    make_scorer,
    mean_absolute_error,
    mean_pinball_loss,
    median_absolute_error,
    r2_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metricopt._errors import ConfigError
from metricopt.apps.table.model import TargetScale
from metricopt.integrations.sklearn import MetricOptRegressor
from metricopt.integrations.sklearn.regression_metric import regressor_metric
from metricopt.metrics import SHORT_NAMES, Metric

Data = tuple[Any, Any]


def skewed(rows: int = 600, seed: int = 0) -> Data:
    """Noise with a long tail: the mean, which the squared error asks for, lies far above the median."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3))
    return X, 1000 + 50 * (X[:, 0] + random.lognormal(0, 1.2, rows))


@pytest.fixture
def data() -> Data:
    return skewed()


def test_predictions_are_tuned_in_the_units_of_the_target(data: Data, quick: dict[str, Any]) -> None:
    X, y = data
    tuned = MetricOptRegressor("neg_median_absolute_error", **quick).fit(X, y)
    plain = MetricOptRegressor("neg_median_absolute_error", **{**quick, "calls": 0}).fit(X, y)
    errors = [median_absolute_error(y, one.predict(X)) for one in (tuned, plain)]
    assert tuned.outcome_.accepted and not tuned.outcome_.higher_is_better
    assert errors[0] < 0.8 * errors[1]
    assert tuned.outcome_.before == pytest.approx(errors[1], rel=0.3)
    assert tuned.predict(X).shape == (600,) and tuned.predict(X).dtype == np.float64
    assert tuned.score(X, y) == r2_score(y, tuned.predict(X))


def test_the_whole_network_is_tuned_where_a_part_is_held_out(data: Data, quick: dict[str, Any]) -> None:
    X, y = data
    quick |= {"cv": None, "validation_fraction": 0.5, "method": "random_search"}
    model = MetricOptRegressor("neg_median_absolute_error", **quick).fit(X, y)
    assert len(model.outcome_.phi) > 2
    assert model.outcome_.after != model.outcome_.before


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_units_of_the_target_do_not_matter(data: Data, quick: dict[str, Any], scale: float) -> None:
    X, y = data
    one = MetricOptRegressor("neg_median_absolute_error", **quick).fit(X, y)
    other = MetricOptRegressor("neg_median_absolute_error", **quick).fit(X, y * scale)
    # Standardised targets differ in their last digits only, and so do all steps of the training.
    np.testing.assert_allclose(other.predict(X), one.predict(X) * scale, rtol=1e-3)


def test_sample_weights_move_the_predictions(quick: dict[str, Any]) -> None:
    X = np.zeros((200, 1))
    y = np.arange(200) % 2.0
    model = MetricOptRegressor(**{**quick, "calls": 0, "epochs": 60})
    assert model.fit(X, y).predict(X[:1])[0] == pytest.approx(0.5, abs=0.1)
    assert model.fit(X, y, sample_weight=np.where(y == 1, 9, 1)).predict(X[:1])[0] == pytest.approx(0.9, abs=0.1)
    zeros = model.fit(np.vstack([X, X + 1]), np.concatenate([y, y + 7]), sample_weight=np.repeat([1, 0], 200))
    assert np.array_equal(zeros.predict(X), MetricOptRegressor(**model.get_params()).fit(X, y).predict(X))


def metric_of(metric: Any, targets: Any, **stated: Any) -> tuple[Metric, TargetScale, torch.Tensor]:
    numbers = torch.tensor(targets, dtype=torch.float64)
    scale = TargetScale.fit(numbers)
    stated = {"higher_is_better": None, "bounds": None} | stated
    return regressor_metric(metric, scale, scale.to_standard(numbers), **stated), scale, scale.to_standard(numbers)


def test_the_range_of_a_metric_comes_from_the_data() -> None:
    targets = [0.0, 10.0, 20.0, 50.0]  # mean 20: mean absolute error of the mean is 15
    r2, _, _ = metric_of("r2", targets)
    mae, scale, standard = metric_of("neg_mean_absolute_error", targets)
    assert r2.bounds == pytest.approx((-1.0, 1.0)) and r2.higher_is_better
    assert mae.bounds == pytest.approx((0.0, 30.0)) and not mae.higher_is_better
    assert mae(standard, standard) == pytest.approx(0.0, abs=1e-5)
    assert mae(standard + 1, standard) == pytest.approx(scale.spread, rel=1e-6)
    assert mae(standard + 1e6, standard) == mae.bounds[1]  # what is worse counts as the end of the range
    assert r2(standard * -9, standard) == pytest.approx(-1.0)


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_a_short_name_is_the_scorer_that_it_stands_for(name: str) -> None:
    targets = [1.0, 10.0, 20.0, 50.0]
    short, _, standard = metric_of(name, targets)
    long, _, _ = metric_of(SHORT_NAMES[name].scorer, targets)
    assert short.name == name
    assert (short.bounds, short.higher_is_better) == (long.bounds, long.higher_is_better)
    assert short(standard / 2, standard) == long(standard / 2, standard)


def test_an_unknown_name_is_told_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match="'maee'; did you mean 'mae'. There are: mae, medae, .*neg_mean_squared_error"
    ):
        metric_of("maee", [0.0, 1.0])


def test_a_range_may_be_stated() -> None:
    metric, _, standard = metric_of("neg_mean_absolute_error", [0.0, 1.0], bounds=(0.0, 100.0))
    assert metric.bounds == (0.0, 100.0)
    assert metric(standard, standard) == pytest.approx(0.0, abs=1e-6)


def pinball(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    gap = targets - outputs
    return torch.maximum(0.9 * gap, -0.1 * gap).mean()


@pytest.mark.parametrize(
    ("metric", "stated"),
    [
        (make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False), {}),
        (
            make_scorer(lambda y, p: float(np.mean(np.maximum(0.9 * (y - p), 0.1 * (p - y)))), greater_is_better=False),
            {},
        ),
        (pinball, {"higher_is_better": False}),
    ],
)
def test_scorers_and_callables_of_numbers(data: Data, quick: dict[str, Any], metric: Any, stated: Any) -> None:
    X, y = data
    model = MetricOptRegressor(metric, **stated, **quick).fit(X, y)
    plain = MetricOptRegressor(metric, **stated, **{**quick, "calls": 0}).fit(X, y)
    assert model.outcome_.accepted
    losses = [mean_pinball_loss(y, one.predict(X), alpha=0.9) for one in (model, plain)]
    assert losses[0] < losses[1]


def test_metric_functions_of_scikit_learn_know_their_direction() -> None:
    metric, _, _ = metric_of(mean_absolute_error, [0.0, 1.0, 5.0], higher_is_better=False)
    assert metric.name == "mean_absolute_error" and not metric.higher_is_better


@pytest.mark.parametrize(
    ("metric", "stated", "message"),
    [
        ("neg_median_absolut_error", {}, "did you mean 'neg_median_absolute_error'"),
        ("f1", {}, "no metric of numbers is named 'f1'"),
        (pinball, {}, "does not state its direction"),
        (pinball, {"higher_is_better": True}, "correct the direction, or state the range with bounds="),
        (lambda outputs, targets: 1.0, {"higher_is_better": True}, "so its range cannot be told from the data"),
        ("r2", {"higher_is_better": False}, "states higher_is_better=True"),
        (Metric(len, name="size", higher_is_better=True, reads="model"), {}, "reads the whole model"),
    ],
)
def test_a_metric_that_cannot_be_used_is_an_error(
    data: Data, quick: dict[str, Any], metric: Any, stated: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        MetricOptRegressor(metric, **stated, **quick).fit(*data)


def test_it_works_in_a_pipeline_a_grid_search_and_cross_validation(data: Data, quick: dict[str, Any]) -> None:
    X, y = data
    pipeline = make_pipeline(StandardScaler(), MetricOptRegressor(**{**quick, "epochs": 3, "cv": 2}))
    assert cross_val_score(pipeline, X, y, scoring="neg_mean_absolute_error", cv=2).shape == (2,)
    grid = GridSearchCV(pipeline, {"metricoptregressor__hidden": [(4,), (8,)]}, cv=2).fit(X, y)
    assert grid.best_estimator_[-1].model_.shape.hidden == grid.best_params_["metricoptregressor__hidden"]


def test_a_fitted_model_is_pickled(data: Data, quick: dict[str, Any]) -> None:
    X, y = data
    model = MetricOptRegressor("r2", **quick).fit(X, y)
    again = pickle.loads(pickle.dumps(model))  # our own bytes: scikit-learn asks that this works
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.metric_.bounds == model.metric_.bounds


@pytest.mark.parametrize("rows", [2, 40])
def test_too_few_rows_leave_the_network_as_it_was_trained(rows: int, quick: dict[str, Any]) -> None:
    X = np.arange(float(rows))[:, None]
    model = MetricOptRegressor(**quick).fit(X, X[:, 0])
    assert model.outcome_ is None and "too few for a search and a test" in model.reason_


def test_equal_targets_are_predicted(quick: dict[str, Any]) -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = MetricOptRegressor(**quick).fit(X, np.full(200, 7.0))
    assert model.outcome_ is not None
    np.testing.assert_allclose(model.predict(X), 7.0, atol=0.3)
