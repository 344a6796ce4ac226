"""Problems on one model share what depends on model and data alone, and nothing else."""

from __future__ import annotations

import torch

from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.tasks import Pretraining, TabularTask, build_problem

MATERIALS = TabularTask(data="synthetic", recipe=Pretraining(epochs=1)).build(0, cache=False)


def problem() -> Problem:
    return build_problem(MATERIALS, metric=get_metric("mcr"), budget=Budget(calls=3))


def test_features_are_shared_and_figures_are_those_of_a_new_problem() -> None:
    first = problem()
    phis = 0.1 * torch.randn(3, first.dim, generator=torch.Generator().manual_seed(0))
    second = first.again(metric=get_metric("f1"), budget=Budget(calls=5))
    fresh = build_problem(MATERIALS, metric=get_metric("f1"), budget=Budget(calls=5))
    assert second._train_features is first._train_features
    assert second._val_features is first._val_features
    assert second.sensitivity is first.sensitivity
    assert torch.equal(second.observe(phis), fresh.observe(phis))
    assert torch.equal(second.reach, fresh.reach)
    indices = second.draws(0, 3)
    assert torch.equal(indices, fresh.draws(0, 3))
    for one, other in zip(second.loss_and_grad(phis, indices), fresh.loss_and_grad(phis, indices), strict=True):
        assert torch.equal(one, other)


def test_budget_and_observations_start_anew() -> None:
    first = problem()
    first.observe(torch.zeros(2, first.dim))
    second = first.again(budget=Budget(calls=7))
    assert (second.meter.calls, second.meter.calls_left) == (0, 7)
    assert len(second.observations[1]) == 0
    second.observe(torch.zeros(1, first.dim))
    assert (first.meter.calls, len(first.observations[1])) == (2, 2)
    assert second.metric is first.metric


def test_a_reach_that_was_given_goes_with_it() -> None:
    first = problem()
    given = torch.full((first.dim,), 0.5)
    with_reach = Problem(
        first.adapted,
        loss=first.loss,
        metric=first.metric,
        train=first.train,
        val=first.val,
        budget=Budget(calls=1),
        sampler=first.sampler,
        batch_size=64,
        reach=given,
    )
    twin = with_reach.again(budget=Budget(calls=1))
    assert torch.equal(twin.reach, given)
    assert (twin.batch_size, twin.sampler) == (64, "balanced")
