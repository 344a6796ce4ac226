"""As trained, and finetuning on the loss alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt._random import derive_seed
from metricopt.methods import AsTrained, LossFinetune
from metricopt.problem import Problem
from tiny_problem import Ticks, tiny_problem


def slow_path(problem: Problem, *, run: int, steps: int, lr: float, momentum: float) -> list[Tensor]:
    """SGD on phi / phi_scale, one phi and one mini-batch at a time."""
    batches = problem.draws(derive_seed(0, "loss finetune", run), steps)
    z, velocity = torch.zeros(problem.dim), torch.zeros(problem.dim)
    path = [z * problem.phi_scale]
    for batch in batches:
        point = z.clone().requires_grad_(True)
        features = problem.workload.adapted.head(problem.workload.train.inputs[batch])
        loss = problem.workload.loss(
            problem.workload.adapted.tail(point * problem.phi_scale, features), problem.workload.train.targets[batch]
        )
        (grad,) = torch.autograd.grad(loss, point)
        velocity = momentum * velocity + grad
        z = z - lr * velocity
        path.append(z * problem.phi_scale)
    return path


def test_as_trained_is_phi_zero_for_nothing() -> None:
    problem = tiny_problem(calls=5)
    result = AsTrained().run(problem, seed=0)
    assert not result.phi.any()
    assert result.utility is None
    assert result.calls == problem.meter.calls == 0
    assert len(result.anytime) == 0


def test_loss_finetune_equals_a_slow_twin_and_goes_on_with_other_batches() -> None:
    method = LossFinetune(steps=6, lr=0.5, momentum=0.8)
    result = method.run(tiny_problem(calls=12), seed=0)
    twin = tiny_problem(calls=None)
    first = slow_path(twin, run=0, steps=6, lr=0.5, momentum=0.8)
    second = slow_path(twin, run=1, steps=6, lr=0.5, momentum=0.8)
    # phi = 0 is observed once; the second run is cut short after 5 of 6 steps.
    expected = torch.stack([*first, *second[1:6]])
    # float32 sums in another order, over six steps.
    torch.testing.assert_close(result.phis, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first[-1], second[-1])


def test_loss_finetune_proposes_the_best_it_saw() -> None:
    result = LossFinetune().run(tiny_problem(calls=40), seed=0)
    assert result.calls == 40
    assert result.utility == float(result.utilities.max()) > float(result.utilities[0])
    assert torch.equal(result.phi, result.phis[int(result.utilities.argmax())])


def test_pick_last_never_reads_the_metric() -> None:
    problem = tiny_problem(calls=40)
    result = LossFinetune(steps=6, pick="last").run(problem, seed=0)
    assert result.calls == 0
    assert result.utility is None
    seen = LossFinetune(steps=6).run(tiny_problem(calls=7), seed=0)
    assert torch.equal(result.phi, seen.phis[-1])


def test_loss_finetune_ends_with_the_time() -> None:
    problem = tiny_problem(calls=None, seconds=40.5, clock=Ticks())
    result = LossFinetune(steps=4).run(problem, seed=0)
    assert problem.meter.seconds_left == 0
    assert 2 <= result.calls < 40
    assert result.utility == float(result.utilities.max())


@pytest.mark.parametrize("settings", [{"steps": 0}, {"lr": 0.0}, {"pick": "worst"}])
def test_settings_of_loss_finetune_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        LossFinetune(**settings)  # type: ignore[arg-type]
