"""`MetricOptClassifier` with a network of its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.metrics import accuracy_score, f1_score, fbeta_score, make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metricopt._errors import ConfigError, DataError
from metricopt.apps.table.model import TableModel
from metricopt.integrations.sklearn import MetricOptClassifier
from metricopt.metrics import get_metric

Data = tuple[Any, Any]


def test_decisions_are_tuned_for_the_metric_and_agree_with_each_other(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    tuned = MetricOptClassifier("f1", **quick).fit(X, y)
    plain = MetricOptClassifier("f1", **{**quick, "calls": 0}).fit(X, y)
    assert tuned.outcome_.accepted and tuned.outcome_.after > tuned.outcome_.before + 0.1
    assert f1_score(y, tuned.predict(X)) > f1_score(y, plain.predict(X)) + 0.05
    scores, chances = tuned.decision_function(X), tuned.predict_proba(X)
    assert np.array_equal(tuned.predict(X), (scores > 0).astype(int))
    assert np.array_equal(tuned.predict(X), chances.argmax(axis=1))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert tuned.score(X, y) == accuracy_score(y, tuned.predict(X))
    assert tuned.metric_.name == "f1" and tuned.reason_ == tuned.outcome_.reason


def test_three_classes_are_tuned_too(quick: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(900, 3))
    y = np.where(X[:, 0] + random.normal(size=900) > 1.6, 2, np.where(X[:, 1] + random.normal(size=900) > 1.5, 1, 0))
    model = MetricOptClassifier("f1_macro", **{**quick, "calls": 240}).fit(X, y)
    assert model.outcome_.accepted
    assert model.decision_function(X).shape == model.predict_proba(X).shape == (900, 3)
    assert np.array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))


def test_the_same_random_state_gives_the_same_model(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    first, again = (MetricOptClassifier(**quick).fit(X, y) for _ in range(2))
    other = MetricOptClassifier(**{**quick, "random_state": 1}).fit(X, y)
    assert np.array_equal(first.decision_function(X), again.decision_function(X))
    assert not np.array_equal(first.decision_function(X), other.decision_function(X))
    assert torch.equal(first.outcome_.phi, again.outcome_.phi)


def test_the_whole_network_is_tuned_where_a_part_is_held_out(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    quick |= {"cv": None, "validation_fraction": 0.5, "calls": 110}
    model = MetricOptClassifier("f1", **quick).fit(X, y)
    assert {one.name for one in model.outcome_.candidates} == {"metricopt"}
    assert len(model.outcome_.phi) > 2
    assert model.model_.network.state_dict().keys() == model.outcome_.model.state_dict().keys()


# --- tables ------------------------------------------------------------------------------------------


def test_a_table_of_mixed_columns_with_gaps_is_learned(mixed: Data, quick: dict[str, Any]) -> None:
    X, y = mixed
    model = MetricOptClassifier("accuracy", **quick).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.8
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.feature_names_in_.tolist() == list(X.columns) and model.n_features_in_ == 5
    new = X[200:].assign(colour="violet", grade=pd.Categorical([9] * 100))
    assert set(model.predict(new)) <= {"no", "yes"}
    assert np.isfinite(model.predict_proba(new.assign(size=np.nan))).all()


def test_an_array_of_objects_and_a_list_hold_mixed_columns_too(mixed: Data, quick: dict[str, Any]) -> None:
    X, y = mixed[0][["size", "colour"]], mixed[1]
    frame = MetricOptClassifier(**quick).fit(X, y).decision_function(X)
    objects = np.array(X.astype(object), dtype=object)
    assert np.array_equal(MetricOptClassifier(**quick).fit(objects, y).decision_function(objects), frame)
    rows = [[size, None if colour is pd.NA else colour] for size, colour in objects.tolist()]
    assert np.array_equal(MetricOptClassifier(**quick).fit(rows, list(y)).decision_function(rows), frame)


def test_columns_that_changed_are_an_error_that_names_them(mixed: Data, quick: dict[str, Any]) -> None:
    X, y = mixed
    model = MetricOptClassifier(**{**quick, "calls": 0}).fit(X, y)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.rename(columns={"size": "width"}))
    with pytest.raises(DataError, match="column 'size' held numbers when .* now it holds text such as 'big'"):
        model.predict(X.assign(size="big"))


# --- weights -----------------------------------------------------------------------------------------


def recall(model: MetricOptClassifier, X: Any, y: Any, **fit: Any) -> float:
    return float(recall_score(y, model.fit(X, y, **fit).predict(X)))


def test_class_weights_and_sample_weights_move_the_trained_network(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    quick["calls"] = 0
    plain = recall(MetricOptClassifier(**quick), X, y)
    assert recall(MetricOptClassifier(class_weight="balanced", **quick), X, y) > plain + 0.2
    assert recall(MetricOptClassifier(class_weight={1: 9.0}, **quick), X, y) > plain + 0.2
    assert recall(MetricOptClassifier(**quick), X, y, sample_weight=np.where(y == 1, 9.0, 1.0)) > plain + 0.2
    both = recall(MetricOptClassifier(class_weight={1: 0.1}, **quick), X, y, sample_weight=np.where(y == 1, 10, 1))
    assert both == plain


@pytest.mark.parametrize("cv", ["auto", None, GroupKFold(3)])
def test_a_row_of_weight_zero_is_not_there(rare: Data, quick: dict[str, Any], cv: Any) -> None:
    X, y = rare
    if isinstance(cv, GroupKFold):  # splits of all rows, also of those that do not count
        groups = np.arange(len(y)) % 3
        cv = list(cv.split(X, y, groups))
        shorter = [(a[a < 400], b[b < 400]) for a, b in cv]
    else:
        shorter = cv
    quick |= {"validation_fraction": 0.4, "method": "threshold"}
    weights = (np.arange(len(y)) < 400).astype(float)
    weighted = MetricOptClassifier(cv=cv, **quick).fit(X, y, sample_weight=weights)
    without = MetricOptClassifier(cv=shorter, **quick).fit(X[:400], y[:400], sample_weight=weights[:400])
    assert np.array_equal(weighted.decision_function(X), without.decision_function(X))
    assert weighted.outcome_.before == without.outcome_.before


def test_weights_that_cannot_be_are_an_error(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    with pytest.raises(ConfigError, match=r"class_weight names \['one'\], but the classes are \[0, 1\]"):
        MetricOptClassifier(class_weight={"one": 2}, **quick).fit(X, y)
    with pytest.raises(ConfigError, match='must be "balanced", a mapping or None'):
        MetricOptClassifier(class_weight="even", **quick).fit(X, y)
    with pytest.raises(ValueError, match="Negative values"):
        MetricOptClassifier(**quick).fit(X, y, sample_weight=-np.ones(len(y)))


# --- metrics -----------------------------------------------------------------------------------------


def test_a_scorer_sees_the_labels_of_the_user(rare: Data, quick: dict[str, Any]) -> None:
    X, codes = rare
    y = np.where(codes == 1, "bad", "good")  # the rare class comes first in the alphabet
    scorer = make_scorer(fbeta_score, beta=2, pos_label="bad")
    model = MetricOptClassifier(scorer, **quick).fit(X, y)
    plain = MetricOptClassifier(scorer, **{**quick, "calls": 0}).fit(X, y)
    assert model.outcome_.accepted
    assert scorer(model, X, y) > scorer(plain, X, y) + 0.1


def test_a_callable_needs_a_direction(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare

    def cost(labels: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (8.0 * (labels < targets) + 1.0 * (labels > targets)).mean()

    with pytest.raises(ConfigError, match="does not state its direction; pass higher_is_better"):
        MetricOptClassifier(cost, **quick).fit(X, y)
    model = MetricOptClassifier(cost, higher_is_better=False, bounds=(0, 8), reads="labels", **quick).fit(X, y)
    assert model.outcome_.accepted and model.outcome_.after < model.outcome_.before
    assert not model.metric_.higher_is_better


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc", "neg_brier_score"])
def test_a_metric_that_no_shift_moves_gets_the_whole_network(rare: Data, quick: dict[str, Any], metric: str) -> None:
    X, y = rare
    quick |= {"method": "random_search", "validation_fraction": 0.5}
    model = MetricOptClassifier(metric, **quick).fit(X, y)
    assert len(model.outcome_.phi) > 2


def test_a_metric_that_is_not_there_is_an_error_with_the_closest_one(rare: Data, quick: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no metric named 'f1_macr'; did you mean 'f1_macro'"):
        MetricOptClassifier("f1_macr", **quick).fit(*rare)
    size = get_metric("f1")
    with pytest.raises(ConfigError, match="reads the whole model, but an estimator rates predictions"):
        MetricOptClassifier(lambda model: 1.0, higher_is_better=True, reads="model", **quick).fit(*rare)
    assert MetricOptClassifier(size, **{**quick, "calls": 0}).fit(*rare).metric_.name == "f1"


# --- little data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 5, 40])
@pytest.mark.parametrize("cv", ["auto", None, 3])
def test_too_few_rows_to_tune_on_leave_the_network_as_it_was_trained(rows: int, cv: Any, quick: dict[str, Any]) -> None:
    X = np.arange(float(rows))[:, None]
    model = MetricOptClassifier(cv=cv, **quick).fit(X, np.arange(rows) % 2)
    assert model.outcome_ is None
    assert "too few for a search and a test" in model.reason_ and model.reason_.startswith("Not tuned")
    assert model.predict(X).shape == (rows,)


def test_a_class_of_a_few_rows_tells_nothing_about_a_threshold(quick: dict[str, Any]) -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = MetricOptClassifier(**quick).fit(X, np.arange(200) < 3)
    assert model.outcome_ is None and "fewer than two classes have 5 rows" in model.reason_


def test_no_calls_train_only(rare: Data, quick: dict[str, Any]) -> None:
    model = MetricOptClassifier(**{**quick, "calls": 0}).fit(*rare)
    assert model.outcome_ is None and "calls=0" in model.reason_


# --- what others do with an estimator ----------------------------------------------------------------


def test_it_works_in_a_pipeline_a_grid_search_and_cross_validation(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    quick |= {"epochs": 3, "cv": 2}
    pipeline = make_pipeline(StandardScaler(), MetricOptClassifier(**quick))
    assert cross_val_score(pipeline, X, y, scoring="f1", cv=2).shape == (2,)
    grid = GridSearchCV(pipeline, {"metricoptclassifier__metric": ["f1", "mcc"]}, scoring="f1", cv=2).fit(X, y)
    assert grid.best_estimator_[-1].metric_.name == grid.best_params_["metricoptclassifier__metric"]


def test_a_pipeline_may_hand_on_a_frame(mixed: Data, quick: dict[str, Any]) -> None:
    X, y = mixed
    scaled = ColumnTransformer([("scale", StandardScaler(), ["size"])], remainder="passthrough")
    pipeline = make_pipeline(scaled, MetricOptClassifier(**{**quick, "calls": 0})).set_output(transform="pandas")
    assert pipeline.fit(X, y).score(X, y) > 0.8


def test_clone_and_parameters(quick: dict[str, Any]) -> None:
    model = MetricOptClassifier(make_scorer(f1_score), **quick)
    twin = clone(model)
    assert twin.get_params()["hidden"] == (16,) and not hasattr(twin, "classes_")
    assert repr(twin).startswith("MetricOptClassifier(")


def test_a_fitted_model_is_pickled_with_its_outcome(rare: Data, quick: dict[str, Any], tmp_path: Path) -> None:
    X, y = rare
    model = MetricOptClassifier("f1", **quick).fit(X, y)
    again = pickle.loads(pickle.dumps(model))  # our own bytes: scikit-learn asks that this works
    assert np.array_equal(again.predict(X), model.predict(X))
    assert str(again.outcome_) == str(model.outcome_)
    scores = torch.from_numpy(model.decision_function(X))
    assert again.metric_(scores, torch.from_numpy(y)) == pytest.approx(f1_score(y, model.predict(X)))


def test_encoder_and_network_are_saved_without_pickle(mixed: Data, quick: dict[str, Any], tmp_path: Path) -> None:
    X, y = mixed
    model = MetricOptClassifier(**quick).fit(X, y)
    model.model_.save(tmp_path / "model.safetensors")
    assert TableModel.load(tmp_path / "model.safetensors").predict(X).tolist() == model.predict(X).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"calls": -1}, "calls must be an integer of at least 0"),
        ({"calls": 30}, "calls=30 is too small: .* take at least 174"),
        ({"hidden": 8}, "hidden must be a list of widths"),
        ({"hidden": (0,)}, "hidden.0. must be a whole number of at least 1"),
        ({"epochs": 0}, "epochs must be"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"validation_fraction": 1.0}, "validation_fraction must lie between 0 and 1"),
        ({"early_stopping": "yes"}, "early_stopping must be True or False"),
        ({"cv": "five"}, 'cv must be "auto", None, a number of folds or a splitter'),
        ({"cv": 1}, "cv must be at least 2 folds"),
        ({"cv": 0.2}, "a splitter or its splits, got 0.2"),
        ({"cv": [([0, 1], [2, 3]), ([0, 1], [3, 4])]}, "cv holds some rows out twice"),
        ({"device": "tpu7"}, "device must be the name of a torch device"),
        ({"method": "metricopts"}, "no method named 'metricopts'; did you mean 'metricopt'"),
    ],
)
def test_a_parameter_that_cannot_work_is_an_error(
    rare: Data, quick: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        MetricOptClassifier(**quick | change).fit(*rare)


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y.astype(object),
        lambda y: pd.Series(y, dtype="string"),
        lambda y: pd.Series(y, dtype="category"),
        lambda y: y == "yes",
        lambda y: (y == "yes").astype(np.int8),
        lambda y: pd.Series(y == "yes", dtype="Int64"),
    ],
)
def test_targets_come_in_many_types(mixed: Data, quick: dict[str, Any], make: Any) -> None:
    y = make(mixed[1].to_numpy())
    model = MetricOptClassifier(**{**quick, "calls": 0}).fit(mixed[0], y)
    assert set(model.predict(mixed[0]).tolist()) == set(np.asarray(y).tolist())


def test_missing_targets_are_an_error(mixed: Data, quick: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Input y contains NaN: 1 of 300 targets are missing"):
        MetricOptClassifier(**quick).fit(mixed[0], mixed[1].where(np.arange(300) != 7).astype(object))


def test_one_class_is_an_error(quick: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least two classes, y holds 1 class"):
        MetricOptClassifier(**quick).fit(np.zeros((4, 2)), ["a"] * 4)


@pytest.mark.parametrize("metric", ["mae", "neg_mean_squared_error"])
def test_a_metric_of_numbers_is_not_one_of_classes(metric: str) -> None:
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    with pytest.raises(ConfigError, match="rates numbers, and a classifier predicts classes"):
        MetricOptClassifier(metric).fit(X, y)
