"""What a user of a classifier calls a metric."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    matthews_corrcoef,
    precision_score,
    roc_auc_score,
)
from torchmetrics.classification import BinaryF1Score

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.integrations.sklearn.wanted_metric import classifier_metric, moved_by_shift
from metricopt.metrics import Metric, get_metric

SCORES = torch.randn(60, generator=generator(0, "scores"))
CODES = (SCORES + torch.randn(60, generator=generator(0, "noise")) > 0.4).long()


def made(metric: Any, classes: Any = (0, 1), **stated: Any) -> Metric:
    stated = {"higher_is_better": None, "bounds": None, "reads": None} | stated
    return classifier_metric(metric, np.array(classes), **stated)


def chances() -> Any:
    return torch.sigmoid(SCORES.double()).numpy()


@pytest.mark.parametrize(
    ("metric", "classes", "expected"),
    [
        ("f1", ["a", "b"], lambda y, p: f1_score(y, p > 0)),
        ("precision", ["a", "b"], lambda y, p: precision_score(y, p > 0)),
        ("precision", [0, 1], lambda y, p: precision_score(y, p > 0)),
        ("precision", [1, 2], lambda y, p: precision_score(y, p > 0)),  # the second class, as in all of this library
        (get_scorer("precision"), [1, 2], lambda y, p: precision_score(1 - y, p <= 0)),  # the label 1
        ("f1_macro", ["a", "b"], lambda y, p: f1_score(y, p > 0, average="macro")),
        ("neg_brier_score", [0, 1], lambda y, p: brier_score_loss(y, chances())),
        ("roc_auc_ovr", ["a", "b"], lambda y, p: roc_auc_score(y, p)),
        (make_scorer(f1_score, pos_label="a"), ["a", "b"], lambda y, p: f1_score(1 - y, p <= 0)),
        (make_scorer(fbeta_score, beta=2), [-1, 1], lambda y, p: fbeta_score(y, p > 0, beta=2)),
        (get_scorer("roc_auc"), ["a", "b"], lambda y, p: roc_auc_score(y, p)),
        (matthews_corrcoef, ["a", "b"], lambda y, p: matthews_corrcoef(y, p > 0)),
        (get_metric("mcc"), ["a", "b"], lambda y, p: matthews_corrcoef(y, p > 0)),
        (BinaryF1Score(), ["a", "b"], lambda y, p: f1_score(y, p > 0)),
    ],
)
def test_its_value_is_that_of_scikit_learn(metric: Any, classes: Any, expected: Callable[..., float]) -> None:
    stated = {"higher_is_better": True} if metric is matthews_corrcoef else {}
    value = made(metric, classes, **stated)(SCORES, CODES)
    assert value == pytest.approx(expected(CODES.numpy(), SCORES.numpy()), abs=1e-6)


def test_three_classes_are_handed_on_by_name() -> None:
    scores = torch.randn(50, 3, generator=generator(1))
    codes = torch.arange(50) % 3
    names = np.array(["x", "y", "z"])
    truth, found = names[codes], names[scores.argmax(dim=1)]
    scorer = make_scorer(f1_score, labels=["x", "z"], average="macro")
    assert made(scorer, names)(scores, codes) == pytest.approx(
        f1_score(truth, found, labels=["x", "z"], average="macro")
    )
    lost = made("neg_log_loss", names, bounds=(0, 10))(scores, codes)
    assert lost == pytest.approx(log_loss(truth, torch.softmax(scores.double(), dim=1)))


@pytest.mark.parametrize(
    ("metric", "moved"),
    [
        ("f1", True),
        ("roc_auc", False),
        ("average_precision", False),
        (get_metric("recall_at_k", k=3), False),
        ("f1_macro", True),
        ("neg_brier_score", False),
        (get_scorer("roc_auc"), False),
        (make_scorer(f1_score), True),
    ],
)
def test_whether_a_shift_moves_it_is_known(metric: Any, moved: bool) -> None:
    assert moved_by_shift(made(metric)) is moved


def test_a_shift_may_move_a_function_of_the_users_own() -> None:
    assert moved_by_shift(made(lambda scores, targets: 0.5, higher_is_better=True))


@pytest.mark.parametrize("metric", ["f1", "f1_macro", make_scorer(f1_score), "roc_auc", get_scorer("neg_brier_score")])
def test_it_is_pickled_by_what_the_user_gave(metric: Any) -> None:
    before = made(metric)
    again = pickle.loads(pickle.dumps(before))  # our own bytes: scikit-learn asks that estimators can be pickled
    assert again(SCORES, CODES) == before(SCORES, CODES)
    assert (again.name, again.bounds, again.higher_is_better) == (before.name, before.bounds, before.higher_is_better)


def test_a_metric_without_a_range_asks_for_it() -> None:
    with pytest.raises(ConfigError, match="has no finite range; pass bounds="):
        made("neg_log_loss")
