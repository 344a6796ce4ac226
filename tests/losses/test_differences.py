"""Losses of values against their formulas, and the shapes that they reconcile or refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import for_metric, get_loss
from metricopt.metrics import as_metric
from numpy_twin import assert_equals_twin

SCORES = 2 * torch.randn(7, generator=generator("differences"), dtype=torch.float64)
TARGETS = torch.randn(7, generator=generator("targets of differences"), dtype=torch.float64)


def size(d):
    """|d| for the complex step that twins are differentiated by."""
    return d * np.sign(d.real)


TWINS = {
    "mse": ({}, lambda d: d**2),
    "mae": ({}, lambda d: size(d)),
    "huber": ({"delta": 0.7}, lambda d: np.where(size(d).real <= 0.7, d**2 / 2, 0.7 * (size(d) - 0.35))),
    "quantile": ({"share": 0.8}, lambda d: np.where(d.real < 0, 0.8 * -d, 0.2 * d)),
}


@pytest.mark.parametrize("name", TWINS)
def test_each_equals_its_twin(name):
    options, of_difference = TWINS[name]
    assert_equals_twin(get_loss(name, **options), lambda f, y: np.mean(of_difference(f - y)), SCORES, TARGETS)


@pytest.mark.parametrize("name", TWINS)
def test_a_column_is_a_row_and_never_a_square(name):
    loss = get_loss(name)
    value = loss(SCORES, TARGETS)
    for scores, targets in [
        (SCORES[:, None], TARGETS),
        (SCORES, TARGETS[:, None]),
        (SCORES[:, None], TARGETS[:, None]),
    ]:
        torch.testing.assert_close(loss(scores, targets), value)
    with pytest.raises(ConfigError, match="give a target for each value"):
        loss(SCORES, TARGETS[:3])


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="delta must be"):
        get_loss("huber", delta=0.0)(SCORES, TARGETS)
    with pytest.raises(ConfigError, match="share must lie between 0 and 1"):
        get_loss("quantile", share=1.0)(SCORES, TARGETS)


def test_metrics_of_values_find_them():
    assert [entry.card.name for entry in for_metric("mae")] == ["mae", "huber"]
    assert for_metric(as_metric("neg_mean_squared_error", bounds=(-10, 0)))[0].card.name == "mse"


def test_the_squared_error_takes_a_column_and_has_its_gradient():
    outputs = torch.tensor([[1.0], [3.0]], requires_grad=True)
    loss = get_loss("mse")(outputs, torch.tensor([0.0, 1.0]))
    loss.backward()
    assert loss.item() == 2.5 and outputs.grad.tolist() == [[1.0], [2.0]]
