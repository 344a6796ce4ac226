"""Problems on one workload share what depends on model and data alone, and nothing else."""

from __future__ import annotations

import torch

from metricopt.losses import get_loss
from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.tasks import Pretraining, TabularTask, build_problem
from metricopt.workload import TensorWorkload

MATERIALS = TabularTask(data="synthetic", recipe=Pretraining(epochs=1)).build(0, cache=False)


def problem() -> Problem:
    return build_problem(MATERIALS, metric=get_metric("mcr"), budget=Budget(calls=3))


def test_figures_on_a_shared_workload_are_those_of_a_new_one() -> None:
    first = problem()
    phis = 0.1 * torch.randn(3, first.dim, generator=torch.Generator().manual_seed(0))
    second = Problem(first.workload, metric=get_metric("f1"), budget=Budget(calls=5))
    fresh = build_problem(MATERIALS, metric=get_metric("f1"), budget=Budget(calls=5))
    assert torch.equal(second.observe(phis), fresh.observe(phis))
    assert torch.equal(second.phi_scale, fresh.phi_scale)
    indices = second.draws(0, 3)
    assert torch.equal(indices, fresh.draws(0, 3))
    for one, other in zip(second.loss_and_grad(phis, indices), fresh.loss_and_grad(phis, indices), strict=True):
        assert torch.equal(one, other)


def test_budget_and_observations_start_anew_and_features_do_not() -> None:
    first = problem()
    first.observe(torch.zeros(2, first.dim))
    second = first.with_budget(Budget(calls=7))
    assert (second.meter.calls, second.meter.calls_left) == (0, 7)
    assert len(second.memory) == 0
    second.observe(torch.zeros(1, first.dim))
    assert (first.meter.calls, len(first.memory)) == (2, 2)
    assert second.metric is first.metric
    assert second.workload._once is first.workload._once


def test_another_loss_shares_everything_else() -> None:
    first = problem()
    second = first.with_budget(Budget(calls=1), loss=get_loss("focal"))
    assert second.workload.phi_scale is first.workload.phi_scale
    point, indices = 0.1 * torch.ones(1, first.dim), first.draws(0, 1)
    assert not torch.equal(second.loss_and_grad(point, indices)[0], first.loss_and_grad(point, indices)[0])
    assert first.workload.loss is not second.workload.loss


def test_a_scale_that_was_given_is_used() -> None:
    workload = problem().workload
    assert isinstance(workload, TensorWorkload)
    given = torch.full((workload.dim,), 0.5)
    with_scale = TensorWorkload(
        workload.adapted, loss=workload.loss, train=workload.train, val=workload.val, phi_scale=given
    )
    twin = Problem(with_scale, metric=get_metric("mcr"), budget=Budget()).with_budget(Budget(calls=1))
    assert torch.equal(twin.phi_scale, given)
