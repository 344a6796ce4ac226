"""scikit-learn's own checks, for a network, for a base classifier, and for a regressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from metricopt.integrations.sklearn import MetricOptClassifier, MetricOptRegressor

QUICK: dict[str, Any] = {
    "calls": 180,
    "epochs": 25,
    "batch_size": 64,
    "hidden": (16,),
    "learning_rate": 3e-2,
    "random_state": 0,
}

NOT_EQUIVALENT = (
    "mini-batches of other rows are other steps: as with MLPClassifier, a row of weight two is not bit for bit two rows"
)


def expected_failures(estimator: Any) -> dict[str, str]:
    """The one check that stochastic training cannot pass; a base classifier does pass it."""
    if getattr(estimator, "base", None) is not None:
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": NOT_EQUIVALENT}


@pytest.mark.exhaustive
@parametrize_with_checks(
    [
        MetricOptClassifier(cv=2, **QUICK),
        MetricOptClassifier(cv=None, **QUICK),
        MetricOptClassifier(base=LogisticRegression(), cv=2, **QUICK),
        MetricOptRegressor(cv=2, **QUICK),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
