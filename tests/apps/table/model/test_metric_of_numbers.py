"""Metrics of numbers: their units, and the range that the data tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt.apps.table.model import WIDE, TargetScale, metric_of_numbers
from metricopt.metrics import Metric, as_metric

NUMBERS = torch.tensor([0.0, 10.0, 20.0, 50.0], dtype=torch.float64)  # mean 20, mean absolute error of the mean 15
SCALE = TargetScale.fit(NUMBERS)
STANDARD = SCALE.to_standard(NUMBERS)


def error(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return (p - t).abs().mean()


def of_numbers(metric: Metric) -> Metric:
    return metric_of_numbers(metric, SCALE, STANDARD)


def test_an_error_goes_from_nothing_to_twice_that_of_the_mean() -> None:
    mae = of_numbers(Metric(error, name="mae", higher_is_better=False, bounds=WIDE))
    assert mae.bounds == pytest.approx((0.0, 30.0))
    assert mae(STANDARD + 1, STANDARD) == pytest.approx(SCALE.spread, rel=1e-6)
    assert mae((STANDARD + 1).reshape(-1, 1), STANDARD) == pytest.approx(SCALE.spread, rel=1e-6)
    assert mae.utility(mae(torch.zeros(4), STANDARD)) == pytest.approx(0.5, abs=1e-6)
    assert mae(STANDARD + 1e6, STANDARD) == mae.bounds[1]


def test_a_gain_goes_down_to_as_far_below_the_mean() -> None:
    r2 = of_numbers(as_metric("r2", bounds=WIDE))
    assert (r2.name, r2.bounds) == ("r2", pytest.approx((-1.0, 1.0)))
    assert r2(STANDARD, STANDARD) == pytest.approx(1.0)
    assert r2(-9 * STANDARD, STANDARD) == r2.bounds[0]


def test_a_stated_range_is_kept_and_nothing_is_clipped() -> None:
    stated = of_numbers(Metric(error, name="mae", higher_is_better=False, bounds=(0.0, 100.0)))
    assert stated.bounds == (0.0, 100.0)
    assert stated(STANDARD + 4, STANDARD) == pytest.approx(4 * SCALE.spread, rel=1e-6)


def test_equal_targets_have_some_range() -> None:
    same = torch.full((5,), 7.0, dtype=torch.float64)
    scale = TargetScale.fit(same)
    mae = Metric(error, name="mae", higher_is_better=False, bounds=WIDE)
    assert metric_of_numbers(mae, scale, scale.to_standard(same)).bounds == (0.0, 1.0)


@pytest.mark.parametrize("metric", [lambda p, t: 1.0, lambda p, t: -error(p, t)])
def test_a_range_that_cannot_be_told_is_refused(metric) -> None:
    with pytest.raises(ConfigError, match="cannot be told from the data; correct the direction, or state the range"):
        of_numbers(Metric(metric, name="odd", higher_is_better=False, bounds=WIDE))
    assert of_numbers(replace(Metric(metric, name="odd", higher_is_better=False), bounds=(-9, 9))).bounds == (-9, 9)
