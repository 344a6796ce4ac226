"""`Method.run`: a budget of its own, and what comes back with the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt.methods import PhiMetricOpt, PhiValueConfig, RandomSearch
from metricopt.metrics import Budget
from metricopt.value import ValueFunction
from tiny_problem import tiny_problem

QUICK = PhiValueConfig(rounds=1, fit_steps=20, steps=10, runs=2, members=1)


def test_a_budget_of_its_own_leaves_the_problem_alone() -> None:
    problem = tiny_problem(calls=5)
    problem.observe(problem.start[None])
    result = RandomSearch().run(problem, seed=0, budget=Budget(calls=9))
    assert result.calls == len(result.utilities) == 9
    assert problem.meter.calls == 1
    assert len(problem.observations[1]) == 1


def test_the_value_function_comes_back_and_can_be_saved(tmp_path: Path) -> None:
    problem = tiny_problem(calls=40)
    result = PhiMetricOpt(config=QUICK).run(problem, seed=0)
    assert result.value is not None
    result.value.save(tmp_path / "value.safetensors")
    loaded = ValueFunction.load(tmp_path / "value.safetensors", spec=problem.spec)
    assert torch.equal(loaded(result.phis)[0], result.value(result.phis)[0])
    assert RandomSearch().run(tiny_problem(calls=3), seed=0).value is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("interpolation", "cubic"),
        ("blend", -1.0),
        ("momentum", 1.0),
        ("min_gain_stderr", float("nan")),
        ("resamples", 1),
        ("fit_batch", 1),
        ("observations", 1),
        ("share", 1.5),
        ("direction", "newton"),
    ],
)
def test_settings_are_checked_when_they_are_made(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(QUICK, **{field: value})  # type: ignore[arg-type]
