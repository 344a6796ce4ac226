"""`MetricOptClassifier(base=...)`: any classifier with probabilities, its shift tuned."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from metricopt._errors import ConfigError
from metricopt.integrations.sklearn import MetricOptClassifier

Data = tuple[Any, Any]


def three_classes(rows: int = 900, seed: int = 0) -> Data:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 3))
    noise = random.normal(size=(2, rows))
    return X, np.where(X[:, 0] + noise[0] > 1.6, "c", np.where(X[:, 1] + noise[1] > 1.6, "b", "a"))


def test_a_fitted_base_stays_as_it_is_and_all_rows_tune_its_shift(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    base = LogisticRegression().fit(X[:200], y[:200])
    model = MetricOptClassifier("f1", base=base, **{**quick, "calls": 400}).fit(X[200:], y[200:])
    assert model.base_ is base and model.outcome_.accepted
    assert f1_score(y, model.predict(X)) > f1_score(y, base.predict(X)) + 0.1
    # The order of the rows is that of the base, only the threshold has moved.
    odds = base.decision_function(X)
    np.testing.assert_allclose(model.decision_function(X) - odds, model.outcome_.phi[0].item(), atol=1e-5)
    assert np.array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    assert np.array_equal(model.predict(X), (model.decision_function(X) > 0).astype(int))


def test_every_class_of_several_gets_a_shift(quick: dict[str, Any]) -> None:
    X, y = three_classes()
    base = LogisticRegression().fit(X[:300], y[:300])
    model = MetricOptClassifier("f1_macro", base=base, **quick).fit(X[300:], y[300:])
    assert model.outcome_.accepted
    gain = [f1_score(y, one.predict(X), average="macro") for one in (model, base)]
    assert gain[0] > gain[1] + 0.05
    moved = model.decision_function(X) - base.predict_log_proba(X)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-5)
    assert np.array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])


@pytest.mark.parametrize("cv", ["auto", 3, None])
def test_a_base_that_is_not_fitted_is_fitted_first(rare: Data, quick: dict[str, Any], cv: Any) -> None:
    X, y = rare
    base = LogisticRegression()
    model = MetricOptClassifier(base=base, cv=cv, validation_fraction=0.5, **quick).fit(X, y)
    assert not hasattr(base, "coef_") and model.outcome_ is not None
    everything = np.array_equal(model.base_.coef_, LogisticRegression().fit(X, y).coef_)
    assert everything == (cv is not None)


def test_scores_of_the_folds_are_of_rows_that_the_clone_had_not_seen(quick: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(300, 2)), random.random(300) < 0.4  # nothing to learn, but trees learn it by heart
    base = HistGradientBoostingClassifier(max_iter=30, min_samples_leaf=1)
    model = MetricOptClassifier("accuracy", base=base, **quick).fit(X, y)
    assert base.fit(X, y).score(X, y) > 0.9
    assert model.outcome_.before < 0.65


def test_a_pipeline_may_be_the_base_and_the_model_part_of_a_pipeline(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    model = MetricOptClassifier(base=make_pipeline(StandardScaler(), LogisticRegression()), cv=2, **quick)
    assert cross_val_score(make_pipeline(StandardScaler(), model), X, y, scoring="f1", cv=2).min() > 0
    grid = GridSearchCV(model, {"base__logisticregression__C": [0.1, 1.0]}, scoring="f1", cv=2).fit(X, y)
    assert grid.best_estimator_.base_[-1].C == grid.best_params_["base__logisticregression__C"]


def test_clone_forgets_a_fit_unless_it_is_frozen(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    base = LogisticRegression().fit(X[:200], y[:200])
    assert not hasattr(clone(MetricOptClassifier(base=base)).base, "coef_")
    frozen = clone(MetricOptClassifier(base=FrozenEstimator(base), **quick)).fit(X[200:], y[200:])
    assert np.array_equal(frozen.base_.coef_, base.coef_)
    assert frozen.outcome_.report_data.facts["Examples"].startswith("600 to follow the loss")


def test_a_class_that_a_fold_lacks_gets_next_to_no_probability(quick: dict[str, Any]) -> None:
    X, y = three_classes(300)
    y = np.where(np.arange(300) == 7, "z", y)  # one row: its fold is rated by a clone that never saw the class
    model = MetricOptClassifier("accuracy", base=GaussianNB(), **quick).fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c", "z"]
    assert model.predict_proba(X).shape == (300, 4)


def test_weights_reach_the_base(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    quick["calls"] = 0
    heavy = np.where(y == 1, 9.0, 1.0)
    expected = LogisticRegression().fit(X, y, sample_weight=heavy)
    for model in (
        MetricOptClassifier(base=LogisticRegression(), **quick).fit(X, y, sample_weight=heavy),
        MetricOptClassifier(base=LogisticRegression(), class_weight={1: 9.0}, **quick).fit(X, y),
    ):
        np.testing.assert_allclose(model.base_.coef_, expected.coef_)
        assert np.array_equal(model.predict(X), expected.predict(X))


def test_what_cannot_be_a_base_is_an_error(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    with pytest.raises(ConfigError, match=r"with predict_proba or decision_function, got LinearRegression\(\)"):
        MetricOptClassifier(base=LinearRegression(), **quick).fit(X, y)
    ovo = SVC(decision_function_shape="ovo")
    with pytest.raises(ConfigError, match='need decision_function_shape="ovr"'):
        MetricOptClassifier(base=ovo, **quick).fit(X, np.arange(len(y)) % 4)
    with pytest.raises(ConfigError, match="fit of Pipeline takes no sample_weight"):
        MetricOptClassifier(base=make_pipeline(GaussianNB()), **quick).fit(X, y, sample_weight=np.ones(len(y)) + y)
    fitted = GaussianNB().fit(X, y)
    with pytest.raises(ConfigError, match="base is fitted already"):
        MetricOptClassifier(base=fitted, class_weight="balanced", **quick).fit(X, y)
    with pytest.raises(ConfigError, match=r"y holds \[5\], but base knows only \[0, 1\]"):
        MetricOptClassifier(base=fitted, **quick).fit(X, np.where(np.arange(len(y)) == 3, 5, y))


class Broken(ClassifierMixin, BaseEstimator):
    """Probabilities that are none."""

    def fit(self, X: Any, y: Any) -> Broken:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), np.nan)


def test_probabilities_that_are_none_are_an_error(rare: Data, quick: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"must give finite numbers of shape \(N, 2\)"):
        MetricOptClassifier(base=Broken(), **quick).fit(*rare)


def test_a_second_fit_forgets_the_first(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    model = MetricOptClassifier(base=GaussianNB(), **quick).fit(X, y)
    model.set_params(base=None, verbose=True)
    assert model.predict(X).shape == (len(y),)  # parameters count when `fit` is called
    assert not hasattr(model.fit(X, y), "base_") and hasattr(model, "model_")
    model.set_params(base=GaussianNB()).fit(X, y)
    assert not hasattr(model, "model_") and hasattr(model, "base_")


def test_a_tuned_base_is_pickled(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    model = MetricOptClassifier("f1", base=GaussianNB(), **quick).fit(X, y)
    again = pickle.loads(pickle.dumps(model))  # our own bytes: scikit-learn asks that this works
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_without_a_test_whatever_looks_better_is_kept(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    base = FrozenEstimator(LogisticRegression().fit(X[:200], y[:200]))
    model = MetricOptClassifier("f1", base=base, acceptance=None, **quick).fit(X[200:], y[200:])
    assert model.outcome_.accepted and model.outcome_.interval is None
    tested = MetricOptClassifier("f1", base=base, **quick).fit(X[200:], y[200:])
    # The search on all rows flatters itself, the test does not.
    assert tested.outcome_.after < model.outcome_.after


def test_a_search_that_finds_nothing_is_told(rare: Data, quick: dict[str, Any]) -> None:
    X, y = rare
    base = FrozenEstimator(LogisticRegression().fit(X[:200], y[:200]))
    model = MetricOptClassifier("roc_auc", base=base, **quick).fit(X, y)
    assert not model.outcome_.accepted and model.outcome_.interval == (0.0, 0.0)
    assert model.reason_ == "The search found nothing better than the model as it was."
    np.testing.assert_allclose(model.predict_proba(X), base.predict_proba(X), atol=1e-12)


def test_nothing_is_accepted_where_nothing_can_be_gained(quick: dict[str, Any]) -> None:
    accepted = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        y = (random.random(200) < 0.5).astype(int)
        X = random.normal(size=(200, 1)) + y[:, None]  # the odds are exactly 2 x - 1: no threshold beats 0
        base = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        base.coef_, base.intercept_ = np.array([[2.0]]) / 2, np.array([-0.5])
        model = MetricOptClassifier("accuracy", base=base, **{**quick, "random_state": seed}).fit(X, y)
        accepted += model.outcome_.accepted
    assert accepted <= 2  # one in forty of the intervals lies above zero by chance
