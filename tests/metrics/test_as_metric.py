"""as_metric and the bridges of plain callables: what each thing becomes, and that no direction is guessed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from torch import nn
from torchmetrics import classification as tmc
from torchmetrics.functional import classification as tmf

from metricopt._errors import ConfigError, MetricError
from metricopt.metrics import as_metric, from_function, from_model_function, get_metric

SCORES, TARGETS = torch.tensor([2.0, -1.0, 0.5, -0.5]), torch.tensor([1, 0, 0, 1])


def share_wrong(labels, targets):
    return (labels != targets).float().mean()


@pytest.mark.parametrize(
    ("thing", "given", "name", "higher"),
    [
        ("f1", {}, "f1", True),
        ("mcr", {"higher_is_better": False}, "mcr", False),
        ("paper_jac", {}, "accuracy", True),
        ("roc_auc", {}, "auroc", True),
        ("neg_brier_score", {}, "neg_brier_score", False),
        (tmc.BinaryF1Score(), {}, "BinaryF1Score", True),
        (tmc.BinaryHammingDistance, {}, "BinaryHammingDistance", False),
        (partial(tmf.binary_fbeta_score, beta=2.0), {"higher_is_better": True}, "binary_fbeta_score", True),
        (sk.make_scorer(sk.f1_score), {}, "f1_score", True),
        (sk.hamming_loss, {"higher_is_better": False}, "hamming_loss", False),
        (partial(sk.fbeta_score, beta=2), {"higher_is_better": True, "name": "f2"}, "f2", True),
        (share_wrong, {"higher_is_better": False, "reads": "labels"}, "share_wrong", False),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_whatever_a_user_calls_a_metric(thing, given, name, higher):
    metric = as_metric(thing, **given)
    assert (metric.name, metric.higher_is_better) == (name, higher)
    assert 0.0 < metric(SCORES, TARGETS) < 1.0


def test_a_short_name_of_a_metric_of_numbers():
    metric = as_metric("medae", bounds=(0, 4))
    assert (metric.name, metric.higher_is_better, metric(SCORES, TARGETS)) == ("medae", False, 1.0)
    with pytest.raises(ConfigError, match="'medea'; did you mean 'medae'.* of numbers mae, medae, mse, rmse, mape, r2"):
        as_metric("medea")


def test_a_metric_is_itself_unless_contradicted():
    metric = get_metric("mcr")
    assert as_metric(metric) is metric
    assert as_metric(metric, higher_is_better=False, bounds=(0, 1), reads="scores") is metric
    with pytest.raises(ConfigError, match="states higher_is_better=False, but higher_is_better=True"):
        as_metric(metric, higher_is_better=True)
    with pytest.raises(ConfigError, match=r"'mcr' has bounds=\(0.0, 1.0\), but bounds=\(0, 2\) was passed"):
        as_metric("mcr", bounds=(0, 2))


def test_a_callable_of_the_model():
    given = {"higher_is_better": False, "bounds": (0, 100)}
    for metric in (as_metric(len, reads="model", **given), from_model_function(len, **given)):
        assert metric.measure_model(nn.Sequential(nn.ReLU(), nn.ReLU())) == 2.0


def test_arrays_instead_of_tensors():
    def on_arrays(probabilities, targets):
        assert type(probabilities) is np.ndarray and type(targets) is np.ndarray
        return np.abs(probabilities - targets).mean()

    metric = from_function(on_arrays, higher_is_better=False, reads="probabilities", arrays="numpy")
    want = float((SCORES.sigmoid() - TARGETS).abs().mean())
    assert metric(SCORES, TARGETS) == pytest.approx(want, abs=1e-7)
    # bfloat16 keeps 8 bits of a probability, and NumPy gets them as float32.
    assert metric(SCORES.bfloat16(), TARGETS) == pytest.approx(want, abs=2**-8)


@pytest.mark.parametrize(
    ("thing", "given", "message"),
    [
        (share_wrong, {}, "metric 'share_wrong' does not state its direction; pass higher_is_better=True or"),
        (sk.f1_score, {}, "'f1_score' does not state its direction"),
        (0.5, {"higher_is_better": True}, "cannot make a metric from a float; give a name, a callable"),
        (None, {}, "cannot make a metric from a NoneType"),
        ("average_precison", {}, "did you mean 'average_precision'.*There are: mcr, accuracy.*scorers of scikit-learn"),
        ("qqqq", {}, "no metric named 'qqqq'; there are: mcr"),
        ("recall_at_k", {}, "missing"),
    ],
)
def test_what_cannot_become_a_metric(thing, given, message):
    with pytest.raises(ConfigError, match=message):
        as_metric(thing, **given)


def test_unknown_kind_of_arrays():
    with pytest.raises(ConfigError, match="arrays must be one of torch, numpy; got 'jax'"):
        from_function(share_wrong, higher_is_better=False, arrays="jax")


def test_a_numpy_metric_cannot_write_into_the_targets() -> None:
    def rude(scores: object, targets: np.ndarray) -> float:
        targets[targets == 0] = -1
        return 0.5

    metric = from_function(rude, higher_is_better=True, arrays="numpy")
    targets = torch.tensor([0.0, 1.0])
    with pytest.raises(MetricError, match="read-only"):
        metric(torch.tensor([0.1, 0.2]), targets)
    assert targets.tolist() == [0.0, 1.0]
