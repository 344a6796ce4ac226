"""Bases beyond plain probabilities: decision functions, calibrated ones, boosted trees of others, sparse rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics import f1_score
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

import metricopt
from metricopt.integrations.sklearn import MetricOptClassifier

Data = tuple[Any, Any]


@pytest.mark.parametrize(
    "base",
    [
        LinearSVC(),
        SVC(),
        RidgeClassifier(),
        SGDClassifier(random_state=0),
        make_pipeline(StandardScaler(), LinearSVC()),
        CalibratedClassifierCV(LinearSVC(), cv=3),
    ],
    ids=lambda base: type(base).__name__,
)
def test_a_decision_function_is_enough(more: Data, quick: dict[str, Any], base: Any) -> None:
    X, y = more
    model = MetricOptClassifier("f1", base=base, **{**quick, "calls": 400}).fit(X[:1200], y[:1200])
    assert model.outcome_.accepted, model.reason_
    plain = model.base_.predict(X[1200:])
    assert f1_score(y[1200:], model.predict(X[1200:])) > f1_score(y[1200:], plain)
    if not hasattr(model.base_, "predict_proba"):  # a shift of what it says, perhaps scaled
        moved, was = model.decision_function(X), model.base_.decision_function(X)
        assert np.array_equal(np.argsort(moved, kind="stable"), np.argsort(was, kind="stable"))


@pytest.mark.parametrize("cv", ["auto", None])
def test_decisions_between_several_classes(quick: dict[str, Any], cv: Any) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(900, 3))
    noise = random.normal(size=(2, 900))
    y = np.where(X[:, 0] + noise[0] > 1.6, "c", np.where(X[:, 1] + noise[1] > 1.6, "b", "a"))
    base = LinearSVC()
    model = MetricOptClassifier("f1_macro", base=base, cv=cv, validation_fraction=0.5, **quick).fit(X, y)
    gained = [f1_score(y, one.predict(X), average="macro") for one in (model, LinearSVC().fit(X, y))]
    assert model.outcome_.accepted and gained[0] > gained[1] + 0.05


def test_a_class_that_a_fold_lacks_is_never_decided_for(quick: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    X = random.normal(size=(300, 3))
    y = np.where(np.arange(300) == 7, "z", np.where(X[:, 0] > 0, "b", "a"))  # its fold knows two classes only
    model = MetricOptClassifier("accuracy", base=LinearSVC(), **quick).fit(X, y)
    assert model.decision_function(X).shape == (300, 3)
    assert model.score(X, y) > 0.9


def _boosted() -> list[Any]:
    xgboost = pytest.importorskip("xgboost")
    lightgbm = pytest.importorskip("lightgbm")
    catboost = pytest.importorskip("catboost")
    few = {"n_estimators": 25, "max_depth": 3, "random_state": 0}
    return [
        xgboost.XGBClassifier(**few, n_jobs=1),
        lightgbm.LGBMClassifier(**few, n_jobs=1, verbose=-1),
        catboost.CatBoostClassifier(
            iterations=25, depth=3, random_seed=0, verbose=False, thread_count=1, allow_writing_files=False
        ),
    ]


@pytest.mark.parametrize("number", range(3), ids=["xgboost", "lightgbm", "catboost"])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")  # LightGBM names columns of arrays itself
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_boosted_trees_of_other_packages(rare: Data, quick: dict[str, Any], number: int) -> None:
    X, y = rare
    base = _boosted()[number]
    model = MetricOptClassifier("f1", base=base, **{**quick, "calls": 400}).fit(X[:600], y[:600])
    assert model.outcome_.accepted, model.reason_
    plain = np.asarray(model.base_.predict(X[600:])).ravel()
    assert f1_score(y[600:], model.predict(X[600:])) > f1_score(y[600:], plain)
    # One that is fitted stays as it is.
    fitted = _boosted()[number].fit(X[:200], y[:200])
    kept = MetricOptClassifier("f1", base=fitted, **quick).fit(X[200:], y[200:])
    assert kept.base_ is fitted
    # Weights of rows reach it.
    weighted = MetricOptClassifier("f1", base=_boosted()[number], class_weight={1: 5.0}, **{**quick, "calls": 0})
    weighted.fit(X, y)
    heavy = _boosted()[number].fit(X, y, sample_weight=np.where(y == 1, 5.0, 1.0))
    np.testing.assert_allclose(weighted.predict_proba(X), heavy.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("base", [LogisticRegression(), LinearSVC(), BernoulliNB()], ids=lambda b: type(b).__name__)
def test_sparse_rows_go_to_a_base_that_takes_them(rare: Data, quick: dict[str, Any], base: Any) -> None:
    X, y = rare
    sparse = csr_matrix(np.where(np.abs(X) > 0.7, X, 0.0))
    weights = np.where(np.arange(len(y)) % 7 == 0, 0.0, 1.0)
    model = MetricOptClassifier("f1", base=base, **quick).fit(sparse, y, sample_weight=weights)
    dense = MetricOptClassifier("f1", base=base, **quick).fit(sparse.toarray(), y, sample_weight=weights)
    assert model.outcome_ is not None and model.n_features_in_ == 4
    assert np.mean(model.predict(sparse) == dense.predict(sparse.toarray())) > 0.99  # solvers differ in the last digits


def test_limits_on_an_estimator(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    metric = metricopt.constrained("precision", recall=">= 0.7")
    model = MetricOptClassifier(metric, base=LogisticRegression(), **{**quick, "calls": 400}).fit(X, y)
    assert model.outcome_.accepted and model.outcome_.feasible
    assert [one.text for one in model.outcome_.terms] == ["precision", "recall >= 0.7"]
    assert "recall >= 0.7 holds" in model.outcome_.summary()
    assert (model.predict(X)[y == 1] == 1).mean() >= 0.7
