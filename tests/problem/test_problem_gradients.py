"""Losses, gradients, sensitivity and phi_scale against torch.func and hand-made values."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metricopt._phi import PhiSpec, Slot
from metricopt.adapters import Film, InputBias, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.workload import default_phi_scale
from tiny_problem import problem_of, tiny_problem

KINDS: tuple[Literal["binary", "multiclass", "multilabel"], ...] = ("binary", "multiclass", "multilabel")


def phis(problem: Problem, count: int) -> Tensor:
    return 0.5 * torch.randn(count, problem.dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 4])
def test_losses_and_gradients_equal_autograd_one_by_one(kind: Literal["binary"], count: int) -> None:
    problem = tiny_problem(kind=kind)
    batch, indices = phis(problem, count), torch.stack([problem.draws(seed, 1)[0] for seed in range(count)])
    losses, grads = problem.loss_and_grad(batch, indices)
    assert losses.shape == (count,)
    assert grads.shape == batch.shape
    assert not (losses.requires_grad or grads.requires_grad)
    for run in range(count):
        mine = indices[run]

        def loss(phi: Tensor, mine: Tensor = mine) -> Tensor:
            scores = problem.workload.adapted.tail(
                phi, problem.workload.adapted.head(problem.workload.train.inputs[mine])
            )
            return cross_entropy(scores, problem.workload.train.targets[mine])

        gradient, value = torch.func.grad_and_value(loss)(batch[run])
        assert float(losses[run]) == pytest.approx(float(value), abs=1e-6)
        assert grads[run].numpy() == pytest.approx(gradient.numpy(), abs=1e-6)


def test_gradients_of_a_run_do_not_depend_on_its_company() -> None:
    problem = tiny_problem(examples=300)
    batch, indices = phis(problem, 6), torch.stack([problem.draws(seed, 1)[0] for seed in range(6)])
    _, together = problem.loss_and_grad(batch, indices)
    alone = torch.cat([problem.loss_and_grad(batch[i, None], indices[i, None])[1] for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_outputs_equal_the_merged_model() -> None:
    problem = tiny_problem(kind="multiclass", examples=700)
    batch = phis(problem, 11)  # more than one chunk of phis, and blocks of examples
    outputs = problem.outputs(batch)
    assert outputs.shape == (11, 700, 3)
    for phi, scores in zip(batch, outputs, strict=True):
        assert torch.allclose(scores, problem.workload.adapted.merged(phi)(problem.workload.val.inputs), atol=1e-5)
    assert not outputs.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivity_is_the_mean_of_the_squared_jacobian(kind: Literal["binary"]) -> None:
    problem = tiny_problem(kind=kind, examples=50)

    def scores(phi: Tensor) -> Tensor:
        outputs: Tensor = problem.workload.adapted.tail(
            phi, problem.workload.adapted.head(problem.workload.train.inputs)
        )
        return outputs

    jacobian = torch.func.jacrev(scores)(problem.start).double()  # (N, outputs, d)
    expected = torch.einsum("noi,noi->i", jacobian, jacobian) / 50
    assert problem.workload.sensitivity.numpy() == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-5)


def moved(problem: Problem, step: Tensor) -> float:
    """How far a small step moves the scores, root mean square over examples, per unit of the step."""
    small = 1e-3
    change = problem.outputs((small * step)[None])[0] - problem.outputs(problem.start[None])[0]
    return float(change.square().sum(dim=-1).mean().sqrt()) / small


def test_a_reach_of_the_output_shift_moves_the_scores_by_one() -> None:
    problem = tiny_problem(kind="multiclass")
    for position in range(problem.dim)[problem.spec.slice_of("output_shift.shift")]:
        step = torch.zeros(problem.dim)
        step[position] = problem.phi_scale[position]
        assert moved(problem, step) == pytest.approx(1.0, abs=0.02)


def test_all_other_coordinates_together_move_the_scores_by_their_share() -> None:
    problem = tiny_problem(examples=400)
    other = torch.ones(problem.dim, dtype=torch.bool)
    other[problem.spec.slice_of("output_shift.shift")] = False
    moves = [moved(problem, torch.eye(problem.dim)[i] * problem.phi_scale) for i in other.nonzero().flatten()]
    # The phi_scale is measured on training rows, the move on the search split: 400 rows of two inputs each.
    assert float(np.sqrt(np.square(moves).sum())) == pytest.approx(0.3, rel=0.15)


def test_reach_does_not_depend_on_the_units_of_an_adapter() -> None:
    one = tiny_problem(adapters=[InputBias(dim=2), OutputShift(temperature=False)])
    ten = tiny_problem(adapters=[InputBias(dim=2, scale=10.0), OutputShift(temperature=False)])
    assert torch.allclose(one.phi_scale[:2], 10 * ten.phi_scale[:2], rtol=1e-4)
    assert torch.allclose(one.phi_scale[2:], ten.phi_scale[2:], rtol=1e-4)


def test_coordinates_that_move_nothing_get_a_finite_reach() -> None:
    spec = PhiSpec(slots=(Slot(name="output_shift.shift", shape=(2,), role="shift"), Slot(name="film", shape=(2,))))
    nothing = default_phi_scale(spec, torch.zeros(4))
    assert bool(nothing.isfinite().all() and (nothing > 0).all())
    idle = default_phi_scale(spec, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    assert idle[1] <= 15 * idle[0]


def test_a_given_reach_is_used() -> None:
    inputs, targets = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.ones(20)
    adapted = attach(nn.Linear(3, 1), Film(), probe=inputs[:2])
    phi_scale = torch.tensor([0.5, 2.0])
    problem = problem_of(
        adapted,
        loss=cross_entropy,
        metric=get_metric("accuracy"),
        train=(inputs, targets),
        val=(inputs, targets),
        budget=Budget(calls=0),
        phi_scale=phi_scale,
    )
    assert torch.equal(problem.phi_scale, phi_scale)


def test_a_model_in_double_precision_is_searched_with_phis_in_single() -> None:
    stream = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 3, generator=stream, dtype=torch.float64)
    targets = (inputs[:, 0] > 0).double()
    problem = problem_of(
        attach(nn.Linear(3, 1).double(), [InputBias(dim=2), OutputShift()], probe=inputs[:2]),
        loss=cross_entropy,
        metric=get_metric("accuracy"),
        train=(inputs, targets),
        val=(inputs, targets),
        budget=Budget(calls=5),
        batch_size=8,
    )
    batch = phis(problem, 3)
    losses, grads = problem.loss_and_grad(batch, problem.draws(0, 3))
    assert grads.dtype == torch.float32
    assert bool(losses.isfinite().all())
    assert problem.outputs(batch).dtype == torch.float64
    assert problem.phi_scale.dtype == problem.start.dtype == torch.float32
    merged = problem.workload.adapted.merged(batch[0])
    assert float(problem.observe(batch)[0]) == problem.metric(merged(inputs), targets)


def test_the_model_is_used_in_eval_mode_and_left_as_it_was() -> None:
    inputs = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    problem = problem_of(
        attach(model, InputBias(dim=2), probe=inputs[:2]),
        loss=cross_entropy,
        metric=get_metric("accuracy"),
        train=(inputs, torch.ones(30)),
        val=(inputs, torch.ones(30)),
        budget=Budget(calls=2),
        batch_size=5,
    )
    first, second = (problem.loss_and_grad(problem.start[None], problem.draws(0, 1)) for _ in range(2))
    assert torch.equal(first[1], second[1])
    problem.observe(problem.start[None])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_loss_that_looks_at_values_gives_the_same_gradients() -> None:
    """`vmap` cannot map a boolean mask; the loss then runs phi by phi."""
    problem = tiny_problem()

    def by_mask(scores: Tensor, targets: Tensor) -> Tensor:
        flat, positive = scores.reshape(-1), targets.reshape(-1) == 1
        return (F.softplus(-flat[positive]).sum() + F.softplus(flat[~positive]).sum()) / len(flat)

    twin = problem.with_budget(Budget(calls=1), loss=by_mask)
    batch, indices = phis(problem, 3), torch.stack([problem.draws(seed, 1)[0] for seed in range(3)])
    for found, wanted in zip(twin.loss_and_grad(batch, indices), problem.loss_and_grad(batch, indices), strict=True):
        torch.testing.assert_close(found, wanted)
