"""The finetuning loop: events, lock-step, units of phi_scale, mini-batches by seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import ConfigError
from metricopt.problem import Problem
from metricopt.search import (
    Blend,
    Event,
    GradientSource,
    GuidedES,
    LossOnly,
    OptimizerFactory,
    Scaled,
    ValueGradient,
    finetune,
)
from tiny_problem import tiny_problem


def sgd(params: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.1)


def adam(params: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=0.1)


def bowl(phis: Tensor) -> Tensor:
    return 1 - 0.1 * (phis - 1).square().sum(dim=1)


def starts(count: int, dim: int) -> Tensor:
    return 0.3 * torch.randn(count, dim, generator=torch.Generator().manual_seed(5))


def events(
    problem: Problem,
    *,
    runs: range = range(1),
    steps: int = 6,
    source: GradientSource | None = None,
    optimizer: OptimizerFactory = sgd,
    phi_scale: Tensor | None = None,
) -> list[Event]:
    start = starts(8, problem.dim)[list(runs)]
    return list(
        finetune(
            problem, source or LossOnly(), optimizer, start=start, steps=steps, seeds=list(runs), phi_scale=phi_scale
        )
    )


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_yields_before_every_step_and_after_the_last(steps: int) -> None:
    problem = tiny_problem()
    seen = events(problem, runs=range(3), steps=steps)
    assert [event.step for event in seen] == list(range(steps + 1))
    assert torch.equal(seen[0].phis, starts(8, problem.dim)[:3])
    assert seen[-1].losses is None
    assert all(event.losses is not None and event.losses.shape == (3,) for event in seen[:-1])
    assert not any(event.phis.requires_grad for event in seen)
    assert problem.meter.calls == 0


def test_events_stay_as_they_were_yielded() -> None:
    problem = tiny_problem()
    stream = finetune(problem, LossOnly(), sgd, start=starts(2, problem.dim), steps=3, seeds=[0, 1])
    first = next(stream)
    before = first.phis.clone()
    list(stream)
    assert torch.equal(first.phis, before)


def test_plain_sgd_is_a_loop_over_loss_and_grad() -> None:
    problem = tiny_problem()
    phi = starts(8, problem.dim)[:1]
    for event, indices in zip(events(problem), [*problem.draws(0, 6), None], strict=True):
        assert torch.allclose(event.phis, phi, atol=1e-7)
        if indices is not None:
            losses, grads = problem.loss_and_grad(phi, indices[None])
            assert event.losses is not None
            assert torch.allclose(event.losses, losses, atol=1e-6)
            phi = phi - 0.1 * grads


def test_a_break_ends_the_work() -> None:
    problem, losses = tiny_problem(), 0

    def count(scores: Tensor, targets: Tensor) -> Tensor:
        nonlocal losses
        losses += 1
        return scores.square().mean()

    problem.workload.loss = count
    for event in finetune(problem, LossOnly(), sgd, start=problem.start[None], steps=50, seeds=[0]):
        if event.step == 3:
            break
    assert losses == 4  # the loss of step 3 belongs to its event


@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize("kind", ["loss", "value", "blend"])
def test_lock_step_equals_one_by_one(optimizer: OptimizerFactory, kind: str) -> None:
    sources: dict[str, GradientSource] = {
        "loss": LossOnly(),
        "value": ValueGradient(value=bowl),
        "blend": Blend(metric=ValueGradient(value=bowl), weight=2.0),
    }
    problem = tiny_problem(examples=200)
    together = events(problem, runs=range(5), source=sources[kind], optimizer=optimizer)
    for run in range(5):
        alone = events(problem, runs=range(run, run + 1), source=sources[kind], optimizer=optimizer)
        for one, all_runs in zip(alone, together, strict=True):
            # Six steps of float32 sums in another order; Adam divides small gradients by their own size.
            assert torch.allclose(one.phis[0], all_runs.phis[run], atol=1e-5)


def test_reach_is_a_change_of_variables() -> None:
    """SGD in z = phi / phi_scale moves phi by lr phi_scale^2 times the gradient."""
    problem = tiny_problem()
    phi_scale = torch.linspace(0.5, 2.0, problem.dim)
    seen = events(problem, steps=3, phi_scale=phi_scale)
    indices = problem.draws(0, 3)
    phi = starts(8, problem.dim)[:1]
    for step in range(3):
        _, grads = problem.loss_and_grad(phi, indices[step, None])
        phi = phi - 0.1 * phi_scale.square() * grads
        assert seen[step + 1].phis.numpy() == pytest.approx(phi.numpy(), abs=1e-6)


def test_the_source_sees_z_and_its_gradients() -> None:
    problem = tiny_problem()
    phi_scale = torch.full((problem.dim,), 0.25)
    source = GuidedES(value=Scaled(value=bowl, phi_scale=phi_scale))
    seen = events(problem, steps=1, source=source, phi_scale=phi_scale)
    _, grads = problem.loss_and_grad(seen[0].phis, problem.draws(0, 1)[0, None])
    assert torch.allclose(seen[1].state.past[0, 0], 0.25 * grads[0], atol=1e-7)


def test_the_value_function_takes_over_where_the_loss_is_not_read() -> None:
    problem = tiny_problem()
    seen = events(problem, steps=200, source=ValueGradient(value=bowl))
    assert all(event.losses is None for event in seen)
    assert seen[-1].phis.numpy() == pytest.approx(np.ones((1, problem.dim)), abs=0.05)


def test_seeds_decide_the_mini_batches_and_nothing_else_does() -> None:
    problem = tiny_problem()
    start = problem.start.expand(3, -1)

    def ends(seeds: list[int]) -> Tensor:
        *_, last = finetune(problem, LossOnly(), sgd, start=start[: len(seeds)], steps=5, seeds=seeds)
        return last.phis

    one, other, third = ends([7, 8, 7])
    assert torch.equal(one, third)
    assert not torch.allclose(one, other)
    assert torch.allclose(ends([8, 7])[1], one, atol=1e-6)


def test_guided_runs_repeat_with_their_seeds() -> None:
    problem = tiny_problem()
    one, again = (events(problem, runs=range(2), source=GuidedES(value=bowl)) for _ in range(2))
    assert all(torch.equal(a.phis, b.phis) for a, b in zip(one, again, strict=True))
    other = events(problem, runs=range(1, 3), source=GuidedES(value=bowl))
    assert not torch.equal(one[-1].phis[1], other[-1].phis[0])


def test_a_consumer_may_spend_the_budget_between_the_steps() -> None:
    problem = tiny_problem(calls=4)
    stream = finetune(problem, LossOnly(), sgd, start=starts(2, problem.dim), steps=9, seeds=[0, 1])
    for event in itertools.takewhile(lambda _: problem.affordable(2) == 2, stream):
        problem.observe(event.phis)
    assert problem.meter.calls == 4


def test_starts_and_seeds_must_go_together() -> None:
    problem = tiny_problem()
    with pytest.raises(ConfigError, match=r"start must be \(n, d\) with one seed a run, got .* and 1 seeds"):
        next(finetune(problem, LossOnly(), sgd, start=starts(2, problem.dim), steps=1, seeds=[0]))
    with pytest.raises(ConfigError, match=r"start must be \(n, d\) with one seed a run"):
        next(finetune(problem, LossOnly(), sgd, start=problem.start, steps=1, seeds=[0]))
    with pytest.raises(ConfigError, match="phi must end in dimension"):
        next(finetune(problem, LossOnly(), sgd, start=torch.zeros(1, problem.dim + 1), steps=1, seeds=[0]))
