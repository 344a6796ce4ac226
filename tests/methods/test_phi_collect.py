"""Meta-training tasks: when they are observed, what they cost, and what shuffling leaves of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._random import derive_seed
from metricopt.methods import PhiValueConfig
from metricopt.methods.phi_value.collect import collect, observation_times, observe_runs
from metricopt.methods.phi_value.learn import learn, observed_runs, permuted
from metricopt.search import LossOnly, finetune
from metricopt.value import Trajectories
from tiny_problem import tiny_problem


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def settings(**changes: Any) -> PhiValueConfig:
    return PhiValueConfig(**({"tasks": 6, "observations": 3, "steps": 8, "fit_steps": 10} | changes))


@given(runs=st.integers(1, 20), count=st.integers(2, 70), steps=st.integers(1, 60), seed=st.integers(0, 999))
def test_observation_times_are_sorted_distinct_and_reach_both_ends(
    runs: int, count: int, steps: int, seed: int
) -> None:
    times = observation_times(runs, count, steps, generator=stream(seed))
    assert times.shape == (runs, min(count, steps + 1))
    assert bool((times.diff(dim=1) > 0).all())
    assert times[:, 0].tolist() == [0] * runs
    assert times[:, -1].tolist() == [steps] * runs


def test_every_part_of_a_trajectory_is_seen_and_runs_differ() -> None:
    times = observation_times(400, 5, 50, generator=stream())
    for column, (low, high) in enumerate(((1, 17), (17, 33), (33, 49)), start=1):
        seen = times[:, column]
        assert low <= int(seen.min()) <= low + 1
        assert high - 1 <= int(seen.max()) <= high + 1
    assert len({tuple(row) for row in times.tolist()}) > 300


def test_one_observation_is_that_of_the_start() -> None:
    assert observation_times(3, 1, 9, generator=stream()).tolist() == [[0]] * 3


@given(calls=st.integers(1, 40))
def test_collecting_spends_at_most_what_it_was_given(calls: int) -> None:
    problem = tiny_problem(calls=100)
    runs = collect(problem, settings(), calls=calls, phi_scale=problem.phi_scale, seed=0)
    assert problem.meter.calls <= calls
    assert int(runs.observed.sum()) == problem.meter.calls
    assert len(runs) == 9
    assert runs.fingerprint == problem.spec.fingerprint


def test_runs_are_loss_trajectories_of_their_own_seeds() -> None:
    problem = tiny_problem(calls=100)
    runs = collect(problem, settings(), calls=100, phi_scale=problem.phi_scale, seed=3)
    assert runs.runs == 6
    assert torch.equal(runs.phis[0, 0], problem.start)
    again = finetune(
        problem,
        LossOnly(),
        lambda params: torch.optim.SGD(params, lr=settings().lr, momentum=settings().momentum),
        start=runs.phis[4, :1],
        steps=8,
        seeds=[derive_seed(3, "task", 4)],
        phi_scale=problem.phi_scale,
    )
    alone = torch.cat([event.phis for event in again])
    assert torch.allclose(runs.phis[4], alone, atol=1e-5)


def test_starts_are_random_where_the_paper_says_so() -> None:
    problem = tiny_problem(calls=100)
    runs = collect(problem, settings(from_zero=False), calls=100, phi_scale=problem.phi_scale, seed=0)
    assert bool((runs.phis[:, 0] != 0).any(dim=1).all())


def test_observations_are_where_the_metric_was_asked() -> None:
    problem = tiny_problem(calls=100)
    path = [torch.full((2, problem.dim), 0.1 * step) for step in range(4)]
    runs = observe_runs(problem, path, torch.tensor([[0, 2], [1, 3]]))
    assert runs.observed.tolist() == [[True, False, True, False], [False, True, False, True]]
    fresh = tiny_problem(calls=100).observe(runs.observations[0])
    assert torch.equal(runs.observations[1], fresh)


def test_the_path_goes_on_where_the_budget_ends() -> None:
    problem = tiny_problem(calls=3)
    path = [torch.zeros(2, problem.dim)] * 4
    runs = observe_runs(problem, path, torch.tensor([[0, 1, 2, 3]] * 2))
    assert len(runs) == 4
    assert runs.observed.tolist() == [[True, True, False, False], [True, False, False, False]]


def made(utilities: torch.Tensor) -> Trajectories:
    runs = Trajectories(runs=utilities.shape[0], fingerprint="made", dim=2)
    for step in range(utilities.shape[1]):
        runs.append(step, torch.randn(utilities.shape[0], 2, generator=stream(step)), utilities[:, step])
    return runs


def test_shuffling_keeps_the_utilities_and_where_they_were_seen() -> None:
    utilities = torch.rand(5, 6, generator=stream(), dtype=torch.float64)
    utilities[torch.rand(5, 6, generator=stream(1)) < 0.4] = torch.nan
    before = made(utilities)
    after = permuted(before, generator=stream(2))
    assert torch.equal(after.observed, before.observed)
    assert torch.equal(after.phis, before.phis)
    assert torch.equal(after.steps, before.steps)
    assert sorted(after.observations[1].tolist()) == sorted(before.observations[1].tolist())
    assert not torch.equal(after.observations[1], before.observations[1])
    assert torch.equal(before.utilities.nan_to_num(-1), utilities.nan_to_num(-1))


def test_runs_that_were_never_seen_are_left_out() -> None:
    utilities = torch.rand(3, 4, dtype=torch.float64, generator=stream())
    utilities[1] = torch.nan
    kept = observed_runs(made(utilities))
    assert torch.equal(kept.utilities, utilities[[0, 2]])
    whole = made(utilities[[0, 2]])
    assert observed_runs(whole) is whole


@pytest.mark.parametrize("scheme", ["offline", "reptile", "paper-reptile"])
def test_what_is_learned_depends_on_the_seed_and_is_judged_on_runs_held_out(scheme: str) -> None:
    problem = tiny_problem(calls=100)
    runs = collect(problem, settings(), calls=60, phi_scale=problem.phi_scale, seed=0)
    phis, _ = runs.observations
    one, again, other = (learn(runs, settings(learn=scheme), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.value(phis)[0], again.value(phis)[0])
    assert not torch.equal(one.value(phis)[0], other.value(phis)[0])
    assert one.quality is not None


@pytest.mark.parametrize("scheme", ["offline", "reptile"])
def test_what_is_learned_follows_the_utilities(scheme: str) -> None:
    """The paper's own scheme takes one step a task and learns next to nothing from thirty."""
    problem = tiny_problem(calls=200)
    config = settings(learn=scheme, tasks=30, observations=4, fit_steps=150)
    runs = collect(problem, config, calls=150, phi_scale=problem.phi_scale, seed=0)
    phis, utilities = runs.observations
    estimates = learn(runs, config, seed=1).value(phis)[0].detach().double()
    together = torch.corrcoef(torch.stack([estimates, utilities]))[0, 1]
    assert float(together) > 0.5


def test_nothing_is_learned_where_the_control_says_so() -> None:
    problem = tiny_problem(calls=100)
    runs = collect(problem, settings(), calls=60, phi_scale=problem.phi_scale, seed=0)
    learned = learn(runs, settings(learn="none"), seed=0)
    assert learned.quality is None
    # Its scale is that of the data all the same, so that step sizes compare.
    assert float(learned.value.utility_mean) == pytest.approx(float(runs.observations[1].mean()), abs=1e-6)
