"""The two doors to a metric: what is counted, what is kept, what is never exceeded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from metricopt._errors import BudgetExhausted, ConfigError, MetricError
from metricopt.adapters import InputBias, attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, Metric, get_metric
from metricopt.problem import Problem
from metricopt.workload import Examples
from metricopt.workload.workload import POPULATION
from tiny_problem import Ticks, problem_of, tiny_data, tiny_problem


def phis(problem: Problem, count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, problem.dim, generator=torch.Generator().manual_seed(seed))


class Counted:
    """Accuracy that counts its calls and raises at the chosen one."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.calls, self.fails_at = 0, fails_at

    def __call__(self, labels: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise ValueError("no more")
        return (labels == targets).float().mean()

    def metric(self) -> Metric:
        return Metric(self, name="counted", higher_is_better=True, reads="labels")


_PROBLEM = tiny_problem()


@given(
    limit=st.integers(0, 12),
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("observe"), st.integers(1, 10)),
            st.tuples(st.just("outputs at hand"), st.integers(1, 12)),
            st.tuples(st.just("bootstrap"), st.integers(1, 4)),
            st.tuples(st.just("free"), st.integers(1, 4)),
        ),
        max_size=8,
    ),
)
def test_the_budget_is_never_exceeded_by_one_call(limit: int, actions: list[tuple[str, int]]) -> None:
    counted = Counted()
    problem = Problem(_PROBLEM.workload, metric=counted.metric(), budget=Budget(calls=limit))
    for action, count in actions:
        before = problem.meter.calls
        batch = phis(problem, count)
        try:
            if action == "observe":
                assert len(problem.observe(batch)) == count
            elif action == "outputs at hand":
                assert len(problem.observe(batch, problem.outputs(batch))) == count
            elif action == "bootstrap":
                drawn = problem.resampled_gains(batch[0], problem.start, resamples=count, seed=0)
                assert problem.meter.calls - before == 2 * len(drawn)
            else:
                problem.outputs(batch)
                problem.loss_and_grad(batch, problem.draws(0, count))
                assert problem.meter.calls == before
        except BudgetExhausted:
            # All that the budget covered was done before it said no.
            assert action in ("observe", "outputs at hand")
            assert problem.meter.calls == limit
        assert counted.calls == problem.meter.calls <= limit
    seen, utilities = problem.observations
    assert len(seen) == len(utilities) <= limit


def test_observing_costs_one_call_a_phi_and_keeps_the_order() -> None:
    problem = tiny_problem(calls=20)
    batch = phis(problem, 11)
    utilities = problem.observe(batch)
    assert problem.meter.calls == 11
    assert utilities.dtype == torch.float64
    assert torch.equal(problem.observations[0], batch)
    assert torch.equal(problem.observations[1], utilities)
    for phi, utility in zip(batch, utilities, strict=True):
        scores = problem.workload.adapted.merged(phi)(problem.workload.val.inputs)
        assert float(utility) == pytest.approx(problem.metric(scores, problem.workload.val.targets), abs=1e-6)


def test_what_the_budget_covers_is_kept_when_it_ends_half_way() -> None:
    problem = tiny_problem(calls=3)
    batch = phis(problem, 5)
    with pytest.raises(BudgetExhausted, match="3 of 3 are spent"):
        problem.observe(batch)
    assert torch.equal(problem.observations[0], batch[:3])


@pytest.mark.parametrize("position", [1, 2, 9, 10])
def test_what_was_paid_for_is_kept_when_the_metric_raises_half_way(position: int) -> None:
    problem = tiny_problem(calls=30, metric=Counted(fails_at=position).metric())
    batch = phis(problem, 11)
    with pytest.raises(MetricError, match="'counted' raised ValueError: no more"):
        problem.observe(batch)
    assert problem.meter.calls == position  # the call that failed was made
    assert torch.equal(problem.observations[0], batch[: position - 1])
    after = problem.observe(batch[:2])
    assert torch.equal(problem.observations[1][-2:], after)


def test_time_that_is_up_ends_observing() -> None:
    problem = tiny_problem(calls=None, seconds=6.0, clock=Ticks())
    with pytest.raises(BudgetExhausted, match="seconds is spent"):
        problem.observe(phis(problem, 30))
    assert 0 < len(problem.observations[1]) < 7


def test_outputs_at_hand_are_rated_without_a_pass_through_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    count = POPULATION + 3  # more than are asked about at once
    problem = tiny_problem(calls=2 * count)
    batch = phis(problem, count)
    there = problem.outputs(batch)
    with monkeypatch.context() as patched:
        patched.setattr(type(problem), "outputs", None)
        utilities = problem.observe(batch, there)
    assert problem.meter.calls == count
    assert torch.equal(problem.observe(batch), utilities)
    assert torch.equal(problem.observations[0], torch.cat([batch, batch]))


def test_observations_are_copies() -> None:
    problem = tiny_problem()
    batch = phis(problem, 2)
    problem.observe(batch)
    before = batch.clone()
    batch.zero_()
    problem.observations[0].zero_()
    assert torch.equal(problem.observations[0], before)


def test_nothing_observed_has_the_right_shapes() -> None:
    problem = tiny_problem()
    seen, utilities = problem.observations
    assert seen.shape == (0, problem.dim)
    assert utilities.shape == (0,)


def test_a_metric_that_lower_is_better_becomes_a_utility() -> None:
    batch = phis(tiny_problem(), 3)
    wrong = tiny_problem(metric=get_metric("mcr")).observe(batch)
    right = tiny_problem(metric=get_metric("accuracy")).observe(batch)
    assert torch.allclose(wrong, right, atol=1e-6)


def test_a_metric_of_the_model_gets_merged_models() -> None:
    seen: list[nn.Module] = []
    model, inputs, targets = tiny_data("binary", examples=60, seed=0)
    original = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def accuracy(candidate: nn.Module) -> Tensor:
        seen.append(candidate)
        return ((candidate(inputs)[:, 0] > 0) == targets).float().mean()

    metric = Metric(accuracy, name="accuracy of the model", higher_is_better=True, reads="model")
    problem = problem_of(
        attach(model, InputBias(dim=3), probe=inputs[:2]),
        loss=cross_entropy,
        metric=metric,
        train=Examples(inputs=inputs, targets=targets),
        val=(inputs, targets),
        budget=Budget(calls=3),
    )
    batch = phis(problem, 3)
    utilities = problem.observe(batch)
    expected = ((problem.outputs(batch)[..., 0] > 0) == targets).double().mean(dim=1)
    assert torch.allclose(utilities, expected, atol=1e-6)
    assert all(type(candidate) is nn.Sequential and candidate is not model for candidate in seen)
    assert all(set(candidate.state_dict()) == set(original) for candidate in seen)
    assert all(torch.equal(tensor, original[name]) for name, tensor in model.state_dict().items())
    assert len(problem.resampled_gains(batch[0], batch[1], resamples=5, seed=0)) == 0
    assert problem.meter.calls == 3


def test_phis_of_another_length_are_refused_before_anything_is_spent() -> None:
    problem = tiny_problem()
    with pytest.raises(ConfigError, match=f"phi must end in dimension {problem.dim}, got shape"):
        problem.observe(torch.zeros(2, problem.dim + 1))
    assert problem.meter.calls == 0


def test_numpy_pairs_and_truth_values_are_data_like_any_other() -> None:
    plain = tiny_problem(calls=30)
    inputs, targets = plain.workload.val.inputs, plain.workload.val.targets
    twin = problem_of(
        plain.workload.adapted,
        loss=plain.workload.loss,
        metric=plain.metric,
        train=(plain.workload.train.inputs.double().numpy(), plain.workload.train.targets.bool().numpy()),
        val=(inputs.double().numpy(), targets.bool().numpy()),
        budget=Budget(calls=30),
        batch_size=plain.workload.batch_size,
    )
    phis = torch.stack([plain.start, 0.1 * torch.ones(plain.dim)])
    assert torch.equal(twin.observe(phis), plain.observe(phis))
    assert twin.resampled_gains(phis[1], phis[0], resamples=3, seed=0).shape == (3,)
    draws = plain.draws(0, 2)
    assert torch.equal(twin.loss_and_grad(phis, draws)[1], plain.loss_and_grad(phis, draws)[1])


def test_a_loss_that_is_a_name_is_refused_at_once() -> None:
    plain = tiny_problem(calls=1)
    with pytest.raises(ConfigError, match=r"loss must be a function .*get_loss"):
        problem_of(
            plain.workload.adapted,
            loss="cross_entropy",  # type: ignore[arg-type]
            metric=plain.metric,
            train=plain.workload.train,
            val=plain.workload.val,
            budget=Budget(calls=1),
        )
