"""The bridge to scikit-learn: scorers, their names, and metric functions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sklearn.metrics as sk
import torch

from metricopt._errors import ConfigError, MetricError
from metricopt._random import generator
from metricopt.metrics import SHORT_NAMES, from_sklearn

RANDOM = generator(12, "scikit-learn bridge")
BINARY = torch.randn(60, generator=RANDOM, dtype=torch.float64), torch.randint(2, (60,), generator=RANDOM)
CLASSES = torch.randn(60, 4, generator=RANDOM, dtype=torch.float64), torch.randint(4, (60,), generator=RANDOM)
SEVERAL = torch.randn(60, 4, generator=RANDOM, dtype=torch.float64), torch.randint(2, (60, 4), generator=RANDOM)


def s(data):
    return data[0].numpy()


def y(data):
    return data[1].numpy()


def label(data):
    return (data[0] > 0).long().numpy() if data is not CLASSES else data[0].argmax(1).numpy()


def probability(data):
    return (data[0].softmax(1) if data is CLASSES else data[0].sigmoid()).numpy()


@pytest.mark.parametrize(
    ("name", "data", "value", "higher"),
    [
        ("f1", BINARY, lambda d: sk.f1_score(y(d), label(d)), True),
        ("f1_macro", CLASSES, lambda d: sk.f1_score(y(d), label(d), average="macro"), True),
        ("f1_samples", SEVERAL, lambda d: sk.f1_score(y(d), label(d), average="samples", zero_division=0), True),
        ("accuracy", SEVERAL, lambda d: sk.accuracy_score(y(d), label(d)), True),
        ("roc_auc", BINARY, lambda d: sk.roc_auc_score(y(d), s(d)), True),
        ("roc_auc", SEVERAL, lambda d: sk.roc_auc_score(y(d), s(d)), True),
        ("roc_auc_ovr", CLASSES, lambda d: sk.roc_auc_score(y(d), probability(d), multi_class="ovr"), True),
        ("average_precision", SEVERAL, lambda d: sk.average_precision_score(y(d), s(d)), True),
        ("neg_brier_score", BINARY, lambda d: sk.brier_score_loss(y(d), probability(d)), False),
        ("matthews_corrcoef", CLASSES, lambda d: sk.matthews_corrcoef(y(d), label(d)), True),
        ("top_k_accuracy", CLASSES, lambda d: sk.top_k_accuracy_score(y(d), s(d)), True),
    ],
)
@pytest.mark.filterwarnings("ignore:F-score is ill-defined")
def test_a_named_scorer(name, data, value, higher):
    metric = from_sklearn(name)
    assert metric(*data) == pytest.approx(value(data), abs=1e-12)
    assert metric.higher_is_better is higher and metric.name == name


def test_a_negated_loss_is_the_loss_with_lower_better():
    with pytest.raises(ConfigError, match=r"'neg_log_loss' has no finite range; pass bounds=\(low, high\)"):
        from_sklearn("neg_log_loss")
    for data in (BINARY, CLASSES):
        metric = from_sklearn("neg_log_loss", bounds=(0, 5))
        raw = metric(*data)
        assert raw == pytest.approx(sk.log_loss(y(data), probability(data)), abs=1e-12) and raw > 0
        assert metric.higher_is_better is False and metric.utility(raw) == 1 - raw / 5


def test_a_scorer_of_ones_own():
    scorer = sk.make_scorer(sk.fbeta_score, beta=2)
    metric = from_sklearn(scorer)
    assert metric(*BINARY) == pytest.approx(sk.fbeta_score(y(BINARY), label(BINARY), beta=2), abs=1e-12)
    assert metric.name == "fbeta_score" and metric.higher_is_better

    def cost(y_true, y_pred):
        return np.mean(y_true != y_pred)

    metric = from_sklearn(sk.make_scorer(cost, greater_is_better=False), name="cost")
    assert metric(*BINARY) == pytest.approx(np.mean(y(BINARY) != label(BINARY)), abs=1e-12)
    assert not metric.higher_is_better and metric.name == "cost"


@pytest.mark.parametrize(
    ("function", "data", "higher", "value"),
    [
        (sk.hamming_loss, BINARY, False, lambda d: sk.hamming_loss(y(d), label(d))),
        (sk.zero_one_loss, CLASSES, False, lambda d: sk.zero_one_loss(y(d), label(d))),
        (sk.roc_auc_score, BINARY, True, lambda d: sk.roc_auc_score(y(d), s(d))),
        (sk.brier_score_loss, BINARY, False, lambda d: sk.brier_score_loss(y(d), probability(d))),
        (sk.cohen_kappa_score, CLASSES, True, lambda d: sk.cohen_kappa_score(y(d), label(d))),
        (
            sk.label_ranking_average_precision_score,
            SEVERAL,
            True,
            lambda d: sk.label_ranking_average_precision_score(y(d), s(d)),
        ),
        (partial(sk.f1_score, average="micro"), CLASSES, True, lambda d: sk.f1_score(y(d), label(d), average="micro")),
    ],
)
def test_a_function_reads_what_scikit_learn_would_give_it(function, data, higher, value):
    if function is sk.cohen_kappa_score:  # its parameters are y1 and y2
        metric = from_sklearn(function, higher_is_better=higher, reads="labels")
        assert metric.bounds == (-1.0, 1.0)
    else:
        metric = from_sklearn(function, higher_is_better=higher)
    assert metric(*data) == pytest.approx(value(data), abs=1e-12)
    assert metric.higher_is_better is higher


def test_what_a_function_reads_can_be_chosen():
    metric = from_sklearn(partial(sk.roc_auc_score, multi_class="ovr"), higher_is_better=True, reads="probabilities")
    assert metric(*CLASSES) == pytest.approx(sk.roc_auc_score(y(CLASSES), probability(CLASSES), multi_class="ovr"))


def test_regression_scores_the_outputs_as_they_are():
    outputs, targets = torch.tensor([0.5, 2.0]), torch.tensor([1.0, 4.0])
    for metric in (
        from_sklearn("neg_mean_squared_error", bounds=(0, 10)),
        from_sklearn(sk.mean_squared_error, higher_is_better=False, bounds=(0, 10)),
    ):
        assert metric(outputs, targets) == metric(outputs[:, None], targets[:, None]) == 2.125
        assert not metric.higher_is_better
    with pytest.raises(ConfigError, match="'r2_score' has no finite range"):
        from_sklearn(sk.r2_score, higher_is_better=True)


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_a_short_name_is_its_scorer_under_another_name(name: str):
    outputs, targets = torch.tensor([0.5, 2.0, 4.0]), torch.tensor([1.0, 4.0, 5.0])
    short, long = (from_sklearn(one, bounds=(-9, 9)) for one in (name, SHORT_NAMES[name].scorer))
    assert short.name == name
    assert short(outputs, targets) == long(outputs, targets) > 0
    assert short.higher_is_better == long.higher_is_better == SHORT_NAMES[name].higher_is_better
    with pytest.raises(ConfigError, match=f"'{name}' has no finite range"):
        from_sklearn(name)


def test_half_precision_and_float_targets_are_fine():
    scores, targets = BINARY
    assert from_sklearn("f1")(scores.bfloat16(), targets.float()) == from_sklearn("f1")(scores, targets)


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        (sk.f1_score, {}, "'f1_score' does not state its direction; pass higher_is_better"),
        ("neg_log_loss", {"higher_is_better": True}, "states higher_is_better=False, but higher_is_better=True"),
        ("f1_makro", {}, "no scikit-learn scorer named 'f1_makro'; did you mean 'f1_macro'"),
        (sk.cohen_kappa_score, {"higher_is_better": True}, "does not say what it reads; pass reads= one of labels"),
        (sk.f1_score, {"higher_is_better": True, "reads": "model"}, "cannot read 'model'"),
        (sk.make_scorer(sk.f1_score), {"reads": "labels"}, "states what it reads; leave reads= out"),
        (3, {"higher_is_better": True}, "got int"),
    ],
)
def test_what_is_stated_nowhere_is_asked_for(metric, options, message):
    with pytest.raises(ConfigError, match=message):
        from_sklearn(metric, **options)


def test_errors_inside_scikit_learn_are_metric_errors():
    with pytest.raises(MetricError, match="metric 'f1' raised ValueError: Target is multiclass"):
        from_sklearn("f1")(*CLASSES)
    with pytest.raises(ConfigError, match="takes tensors or arrays of outputs and targets, got list and list"):
        from_sklearn("f1")([1.0], [1])
