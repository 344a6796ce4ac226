"""How much a gain varies with the finite search split, against a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from metricopt.metrics import Budget, Metric, get_metric
from metricopt.problem import Problem
from tiny_problem import tiny_problem


def shifted(problem: Problem, shift: float) -> Tensor:
    phi = problem.start.clone()
    phi[problem.spec.slice_of("output_shift.shift")] = shift
    return phi


def test_equals_resampling_within_classes_in_numpy() -> None:
    """The spread of the difference of two accuracies, from 4,000 resamples of a twin with its own random numbers."""
    problem = tiny_problem(calls=None, metric=get_metric("accuracy"), examples=200)
    phi = shifted(problem, 1.5)
    mine = problem.resampled_gains(phi, problem.start, resamples=1500, seed=0).numpy()
    labels = (problem.outputs(torch.stack([phi, problem.start]))[..., 0] > 0).numpy()
    targets = problem.workload.val.targets.numpy()
    random = np.random.default_rng(0)
    twin = []
    for _ in range(4000):
        chosen = np.concatenate([random.choice(np.flatnonzero(targets == c), (targets == c).sum()) for c in (0, 1)])
        right = labels[:, chosen] == targets[chosen]
        twin.append(right[0].mean() - right[1].mean())
    # Mean and spread of 1,500 draws: standard errors of 1 / sqrt(1500) and 1 / sqrt(3000) of the spread.
    assert mine.mean() == pytest.approx(np.mean(twin), abs=5 * np.std(twin) / 1500**0.5)
    assert mine.std() == pytest.approx(np.std(twin), rel=5 / 3000**0.5 + 0.02)


def test_both_sides_see_the_same_resample() -> None:
    problem = tiny_problem(calls=None)
    phi = shifted(problem, 1.0)
    assert problem.resampled_gains(phi, phi, resamples=6, seed=0).tolist() == [0.0] * 6
    one = problem.resampled_gains(phi, problem.start, resamples=6, seed=1)
    other = problem.resampled_gains(problem.start, phi, resamples=6, seed=1)
    assert torch.allclose(one, -other)


def test_classes_keep_their_sizes_in_every_resample() -> None:
    seen: list[Tensor] = []
    drawn: list[Tensor] = []

    def remember(scores: Tensor, targets: Tensor) -> float:
        seen.append(targets)
        drawn.append(scores)
        return 0.5

    problem = tiny_problem(
        calls=None, kind="multiclass", metric=Metric(remember, name="remember", higher_is_better=True)
    )
    problem.resampled_gains(problem.start, problem.start, resamples=5, seed=0)
    counts = torch.bincount(problem.workload.val.targets)
    assert len(seen) == 10
    assert all(torch.equal(torch.bincount(targets, minlength=3), counts) for targets in seen)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_multilabel_targets_are_resampled_as_rows() -> None:
    problem = tiny_problem(calls=None, kind="multilabel", metric=get_metric("accuracy"))
    drawn = problem.resampled_gains(shifted(problem, 1.0), problem.start, resamples=8, seed=0)
    assert len(set(drawn.tolist())) > 1


def test_depends_on_the_seed_alone_and_leaves_no_observation() -> None:
    problem = tiny_problem(calls=None)
    phi = shifted(problem, 1.0)
    one = problem.resampled_gains(phi, problem.start, resamples=4, seed=0)
    torch.rand(5)
    assert torch.equal(problem.resampled_gains(phi, problem.start, resamples=4, seed=0), one)
    assert not torch.equal(problem.resampled_gains(phi, problem.start, resamples=4, seed=1), one)
    assert len(problem.observations[1]) == 0


@pytest.mark.parametrize(("calls", "pairs"), [(0, 0), (1, 0), (5, 2), (6, 3), (100, 4)])
def test_draws_as_many_pairs_as_the_budget_covers(calls: int, pairs: int) -> None:
    problem = tiny_problem().with_budget(Budget(calls=calls))
    drawn = problem.resampled_gains(problem.start, problem.start, resamples=4, seed=0)
    assert drawn.shape == (pairs,)
    assert problem.meter.calls == 2 * pairs
