"""A regression in Python: the range of an error is told from the data, and the report shows errors before and after."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import metricopt
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.metrics import Metric, as_metric
from metricopt.metrics.told_range import WIDE, with_told_range
from metricopt.report import ERRORS, render


def _rows(count: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    source = generator("numbers job")
    x = torch.randn(count, 3, generator=source)
    return x, 20 + 5 * x[:, 0] + torch.randn(count, generator=source)


def _net() -> nn.Linear:
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[5.0, 0.0, 0.0]]))
        net.bias.fill_(23.0)  # three too high
    return net


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "neg_mean_squared_error"])
def test_an_error_needs_no_bounds(name: str) -> None:
    x, y = _rows()
    outcome = metricopt.optimize(
        _net(), metric=name, loss="mse", train=(x[:300], y[:300]), val=(x[300:], y[300:]), budget=70,
        method="random_search", quiet=True,
    )  # fmt: skip
    assert outcome.accepted, outcome.reason
    low, high = outcome.report_data.bounds
    assert (low, high) == pytest.approx((-1.0, 1.0)) if name == "r2" else low == 0.0 < outcome.before < high
    histogram = outcome.report_data.histogram
    assert histogram is not None and list(histogram.before) == [ERRORS]
    assert sum(histogram.before[ERRORS]) == sum(histogram.after[ERRORS]) == 240
    centres = torch.tensor([(a + b) / 2 for a, b in zip(histogram.edges, histogram.edges[1:], strict=False)])
    wide = [(torch.tensor(one[ERRORS]) * centres.abs()).sum() for one in (histogram.before, histogram.after)]
    assert wide[1] < wide[0]
    page = render(outcome.report_data)
    assert "Errors before and after" in page and "True class" not in page


def test_learn_value_needs_no_bounds_either() -> None:
    x, y = _rows()
    learned = metricopt.learn_value(_net(), metric="mae", loss="mse", train=(x, y), val=(x, y), calls=12)
    assert learned.metric == "mae" and not learned.higher_is_better


def test_the_range_is_that_of_the_mean_twice_and_values_end_there() -> None:
    error = as_metric("mae", bounds=WIDE)
    found = with_told_range(error, torch.tensor([0.0, 10.0, 20.0, 50.0]))
    assert found.bounds == (0.0, 30.0)
    assert found(torch.full((2,), 500.0), torch.zeros(2)) == 30.0
    with pytest.raises(ConfigError, match="cannot be told from the data"):
        with_told_range(
            Metric(lambda p, t: (p - t).abs().mean(), name="mine", higher_is_better=True, bounds=WIDE),
            torch.arange(9.0),
        )
