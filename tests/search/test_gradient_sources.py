"""Exact, projected and blended gradients, the loss alone, and search in units of phi_scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.search import Blend, GradientSource, LossOnly, ProjectedGradient, Scaled, SearchState, ValueGradient
from metricopt.value import ValueFunction


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bowl(phis: Tensor) -> Tensor:
    """Utility whose cost 1 - u has the gradient 2 (phi - 1)."""
    return 1 - (phis - 1).square().sum(dim=1)


PHIS = torch.randn(3, 5, generator=stream(1))
GRADS = torch.randn(3, 5, generator=stream(2))


def direction(source: GradientSource, state: SearchState | None = None) -> tuple[Tensor, SearchState]:
    return source.direction(state or source.init(3, 5), PHIS, GRADS, generator=stream(3))


def test_the_loss_alone_is_the_loss_gradient() -> None:
    u, state = direction(LossOnly())
    assert torch.equal(u, GRADS)
    assert state.past.shape == (3, 0, 5)


def test_the_exact_gradient_descends_the_cost() -> None:
    u, _ = direction(ValueGradient(value=bowl))
    assert torch.allclose(u, 2 * (PHIS - 1))
    assert not ValueGradient.reads_loss


def test_the_exact_gradient_of_a_value_function_equals_finite_differences() -> None:
    value = ValueFunction(5, norm="none", generator=stream()).double().eval()
    phis = PHIS.double()
    u, _ = ValueGradient(value=value.frozen()).direction(
        SearchState.new(3, 5), phis, GRADS.double(), generator=stream()
    )
    step = 1e-6
    for axis in range(5):
        shift = torch.zeros(5, dtype=torch.float64)
        shift[axis] = step
        slope = (value(phis + shift)[0] - value(phis - shift)[0]) / (2 * step)
        assert (-u[:, axis]).numpy() == pytest.approx(slope.detach().numpy(), abs=1e-6)


def test_the_exact_gradient_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        u, _ = direction(ValueGradient(value=bowl))
    assert torch.allclose(u, 2 * (PHIS - 1))


def test_the_projected_gradient_is_the_nearest_one_in_the_subspace() -> None:
    source = ProjectedGradient(value=bowl, k=2)
    older = torch.randn(3, 2, 5, generator=stream(4))
    u, state = direction(source, SearchState(past=older))
    assert state.past.shape == (3, 2, 5)
    for run in range(3):
        span = np.stack([GRADS[run].numpy(), older[run, 0].numpy()], axis=1).astype(float)
        exact = (2 * (PHIS[run] - 1)).numpy().astype(float)
        weights, *_ = np.linalg.lstsq(span, exact, rcond=None)
        assert u[run].numpy() == pytest.approx(span @ weights, abs=1e-5)


def test_the_blend_is_the_gradient_of_equation_one() -> None:
    """lambda M + l, over lambda, by autograd: M is the bowl's cost, l has the gradient GRADS everywhere."""
    weight = 0.7
    point = PHIS.clone().requires_grad_()
    objective = (weight * (1 - bowl(point)) + (point * GRADS).sum(dim=1)).sum()
    (expected,) = torch.autograd.grad(objective, point)
    u, _ = direction(Blend(metric=ValueGradient(value=bowl), weight=weight))
    assert torch.allclose(u, expected / weight, atol=1e-5)
    assert Blend.reads_loss


def test_the_blend_keeps_the_state_of_its_source() -> None:
    _, state = direction(Blend(metric=ProjectedGradient(value=bowl, k=3)))
    assert torch.equal(state.past[:, 0], GRADS)


@pytest.mark.parametrize("make", [LossOnly, lambda: ValueGradient(value=bowl), lambda: ProjectedGradient(value=bowl)])
def test_a_population_gets_what_each_run_would_get_alone(make: type[LossOnly]) -> None:
    source: GradientSource = make()
    together, _ = direction(source)
    for run in range(3):
        alone, _ = source.direction(source.init(1, 5), PHIS[run, None], GRADS[run, None], generator=stream(3))
        assert torch.allclose(together[run], alone[0], atol=1e-6)


def test_the_state_keeps_dtype_and_device_of_the_gradients() -> None:
    state = SearchState.new(2, 4).remember(torch.ones(2, 4, dtype=torch.float64), 3)
    assert state.past.dtype == torch.float64
    assert state.remember(torch.zeros(2, 4, dtype=torch.float64), 1).past.tolist() == [[[0.0] * 4]] * 2


def test_in_reach_is_the_value_function_of_stretched_phis() -> None:
    phi_scale = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    seen = Scaled(value=bowl, phi_scale=phi_scale, scale=0.5)
    assert torch.equal(seen(PHIS), bowl(PHIS * phi_scale) / 0.5)
    u, _ = direction(ValueGradient(value=seen))
    assert torch.allclose(u, 2 * (PHIS * phi_scale - 1) * phi_scale / 0.5)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="weight must be a positive finite number, got 0"):
        Blend(metric=LossOnly(), weight=0)
    with pytest.raises(ConfigError, match="k must be an integer of at least 1, got 0"):
        ProjectedGradient(value=bowl, k=0)
