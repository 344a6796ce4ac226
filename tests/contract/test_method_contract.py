"""Every registered method keeps the same promises on a tiny problem."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from metricopt._errors import MetricError
from metricopt.methods import METHODS, Result
from metricopt.metrics import from_function, get_metric
from metricopt.problem import Problem
from tiny_problem import Ticks, tiny_problem

#: Ablations and the ladder are other values of the same fields: `make test-all` runs them too.
NAMES = [
    pytest.param(name, marks=[pytest.mark.full] if entry.card.family in ("ablation", "ladder") else [])
    for name, entry in METHODS.items()
]
FAMILIES = ("reference", "rival", "metricopt", "paper", "control", "ablation", "ladder")
CALLS = 7


def run(name: str, problem: Problem, *, seed: int = 0) -> Result:
    return METHODS[name].method.run(problem, seed=seed)


@functools.cache
def ran(name: str) -> tuple[Problem, Result]:
    """One run that several tests look at; none of them changes it."""
    problem = tiny_problem(calls=CALLS)
    return problem, run(name, problem)


@pytest.mark.parametrize("name", NAMES)
def test_proposes_one_finite_phi(name: str) -> None:
    problem, result = ran(name)
    assert result.phi.shape == (problem.dim,)
    assert bool(result.phi.isfinite().all())
    assert not result.phi.requires_grad
    assert result.utility is None or np.isfinite(result.utility)


@pytest.mark.parametrize("name", NAMES)
def test_tells_what_it_spent(name: str) -> None:
    problem, result = ran(name)
    assert result.calls == problem.meter.calls <= CALLS
    assert 0 <= result.seconds <= problem.meter.seconds
    assert len(result.phis) == len(result.utilities) <= result.calls
    assert torch.equal(result.phis, problem.observations[0])
    assert torch.equal(result.utilities, problem.observations[1])
    assert bool((result.anytime.diff() >= 0).all())
    assert all(isinstance(value, float) and not np.isnan(value) for value in result.diagnostics.values())


@pytest.mark.parametrize("name", NAMES)
def test_observed_utilities_are_those_of_the_observed_phis(name: str) -> None:
    problem, result = ran(name)
    for phi, utility in zip(result.phis, result.utilities, strict=True):
        raw = problem.metric(problem.outputs(phi[None])[0], problem.workload.val.targets)
        assert problem.metric.utility(raw) == pytest.approx(float(utility), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_result_whatever_the_global_random_state(name: str) -> None:
    _, first = ran(name)
    torch.rand(3)
    again = run(name, tiny_problem(calls=CALLS))
    assert torch.equal(first.phi, again.phi)
    assert first.utility == again.utility
    assert torch.equal(first.phis, again.phis)
    assert torch.equal(first.utilities, again.utilities)
    assert first.diagnostics == again.diagnostics


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_small_budgets_are_kept_and_end_normally(name: str, calls: int) -> None:
    problem = tiny_problem(calls=calls)
    result = run(name, problem)
    assert result.calls == problem.meter.calls <= calls
    assert bool(result.phi.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_leaves_global_random_state_and_the_model_alone(name: str) -> None:
    problem = tiny_problem(calls=2)
    weights = {key: value.clone() for key, value in problem.workload.adapted.state_dict().items()}
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    run(name, problem)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1][0] == np.random.get_state()[0]
    assert np.array_equal(before[1][1], np.random.get_state()[1])
    assert before[1][2:] == np.random.get_state()[2:]
    assert before[2] == random.getstate()
    assert all(torch.equal(value, weights[key]) for key, value in problem.workload.adapted.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_running_out_of_time_is_a_normal_end(name: str) -> None:
    problem = tiny_problem(calls=CALLS, seconds=8.5, clock=Ticks())
    result = run(name, problem)
    assert problem.meter.seconds_left == 0 or result.calls < CALLS
    assert result.calls <= CALLS
    assert bool(result.phi.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_that_fails_half_way_is_heard_and_loses_no_observation(name: str) -> None:
    asked = 0
    f1 = get_metric("f1")

    def failing(outputs: Tensor, targets: Tensor) -> float:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise RuntimeError("the server is gone")
        return f1(outputs, targets)

    problem = tiny_problem(calls=CALLS, metric=from_function(failing, name="failing", higher_is_better=True))
    if ran(name)[1].calls < 3:  # it asks too rarely to meet the failure
        assert run(name, problem).calls == asked < 3
        return
    with pytest.raises(MetricError, match="server is gone"):
        run(name, problem)
    assert problem.meter.calls == asked == 3
    assert len(problem.observations[1]) == 2


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name: str) -> None:
    card = METHODS[name].card
    assert card.family in FAMILIES
    assert card.adapters in ("shifted", "paper", "shift")
    assert card.extra in (None, "bo", "cma")
    assert sum(entry.card.title == card.title for entry in METHODS.values()) == 1
