"""Eq. 4 against a slow twin, its expectation, and guided ES on populations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.search import Blend, GuidedES, SearchState, guided_es
from metricopt.search.subspace import covariance, perturbations, span
from metricopt.value import ValueFunction


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bent(phis: Tensor) -> Tensor:
    """A utility that is neither linear nor even."""
    return torch.sin(phis).sum(dim=1) + (phis[:, 0] * phis[:, 1]) ** 2


def twin(phi: np.ndarray, deltas: np.ndarray, *, variance: float, beta: float) -> np.ndarray:
    """Eq. 4 in the words of the paper: a loop over pairs, f is the cost 1 - utility."""

    def cost(point: np.ndarray) -> float:
        return 1.0 - float(np.sin(point).sum() + (point[0] * point[1]) ** 2)

    u = np.zeros_like(phi)
    for delta in deltas:
        u += delta * (cost(phi + delta) - cost(phi - delta))
    return u * beta / (2 * variance * len(deltas))


@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("n", [1, 3])
def test_equals_a_loop_over_pairs_for_the_same_perturbations(n: int, beta: float) -> None:
    source = GuidedES(value=bent, k=2, pairs=4, variance=0.09, beta=beta)
    past, grads, phis = (torch.randn(*shape, generator=stream(1), dtype=torch.float64) for shape in _shapes(n))
    u, state = source.direction(SearchState(past=past), phis, grads, generator=stream(7))
    cached = torch.stack([grads, past[:, 0]], dim=1)
    assert torch.equal(state.past, cached)
    deltas = perturbations(span(cached), 4, 0.09, generator=stream(7))
    for run in range(n):
        expected = twin(phis[run].numpy(), deltas[run].numpy(), variance=0.09, beta=beta)
        assert u[run].numpy() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def _shapes(n: int) -> list[tuple[int, ...]]:
    return [(n, 2, 5), (n, 5), (n, 5)]


@pytest.mark.parametrize(("beta", "gain"), [(2.0, 2.0), (1.0, 1.0)])
def test_many_pairs_give_two_sigma_times_the_gradient(beta: float, gain: float) -> None:
    slope = torch.randn(6, generator=stream(3))
    source = GuidedES(value=lambda phis: -(phis @ slope), k=3, pairs=200_000, variance=0.01, beta=beta)
    past, grads = torch.randn(1, 2, 6, generator=stream(4)), torch.randn(1, 6, generator=stream(5))
    u, state = source.direction(SearchState(past=past), torch.zeros(1, 6), grads, generator=stream(6))
    expected = gain * covariance(span(state.past))[0] @ slope
    # An entry of the mean of delta delta^T g has a standard error below |g| / sqrt(pairs), here 0.002 |g|.
    assert (u[0] - expected).abs().max() < 5 * gain * slope.norm() / 200_000**0.5


def test_a_constant_utility_gives_exactly_nothing() -> None:
    source = GuidedES(value=lambda phis: torch.full((len(phis),), 0.73))
    u, _ = source.direction(source.init(2, 4), torch.randn(2, 4), torch.randn(2, 4), generator=stream())
    assert torch.equal(u, torch.zeros(2, 4))


@pytest.mark.parametrize("grads", ["zero", "parallel"])
def test_gradients_that_span_little_leave_a_finite_direction(grads: str) -> None:
    source, state = GuidedES(value=bent, pairs=5), SearchState.new(1, 6)
    one = torch.zeros(1, 6) if grads == "zero" else torch.randn(1, 6, generator=stream(8))
    for step in range(4):
        u, state = source.direction(state, torch.ones(1, 6), one, generator=stream(step))
        assert bool(u.isfinite().all())
        assert float(u.norm()) > 0


def test_before_k_gradients_are_known_those_there_are_span_the_subspace() -> None:
    source, state = GuidedES(value=bent, k=3), SearchState.new(2, 6)
    all_grads = torch.randn(5, 2, 6, generator=stream(9))
    for step, grads in enumerate(all_grads):
        _, state = source.direction(state, torch.zeros(2, 6), grads, generator=stream())
        newest_first = all_grads[max(step - 2, 0) : step + 1].flip(0).transpose(0, 1)
        assert torch.equal(state.past, newest_first)


def test_without_the_loss_nothing_is_remembered_and_its_gradients_do_not_matter() -> None:
    source = GuidedES(value=bent, uses_loss=False)
    phis, state = torch.randn(2, 4, generator=stream()), SearchState.new(2, 4)
    one, after = source.direction(state, phis, torch.ones(2, 4), generator=stream(1))
    other, _ = source.direction(state, phis, torch.full((2, 4), torch.nan), generator=stream(1))
    assert after.past.shape[1] == 0
    assert torch.equal(one, other)


def test_a_population_gets_what_each_run_would_get_alone() -> None:
    """With the perturbations of the population, as randn draws them: run after run."""
    past, grads, phis = (torch.randn(*shape, generator=stream(1), dtype=torch.float64) for shape in _shapes(3))
    source = GuidedES(value=bent, k=3, pairs=2)
    together, _ = source.direction(SearchState(past=past), phis, grads, generator=stream(2))
    deltas = perturbations(span(torch.cat([grads[:, None], past], dim=1)), 2, 0.01, generator=stream(2))
    for run in range(3):
        alone = twin(phis[run].numpy(), deltas[run].numpy(), variance=0.01, beta=2.0)
        assert together[run].numpy() == pytest.approx(alone, rel=1e-9, abs=1e-9)


def test_no_gradient_is_recorded_through_a_value_function_with_weights() -> None:
    value = ValueFunction(4, generator=stream()).eval()
    source = Blend(metric=GuidedES(value=lambda phis: value(phis)[0]), weight=2.0)
    u, _ = source.direction(source.init(1, 4), torch.zeros(1, 4), torch.ones(1, 4), generator=stream())
    assert not u.requires_grad


def test_frozen_and_whole_value_function_guide_alike() -> None:
    value = ValueFunction(4, generator=stream()).eval()
    phis, grads = torch.randn(3, 4, generator=stream(1)), torch.randn(3, 4, generator=stream(2))
    sources = GuidedES(value=value.frozen()), GuidedES(value=lambda points: value(points)[0])
    (one, _), (other, _) = (s.direction(s.init(3, 4), phis, grads, generator=stream(3)) for s in sources)
    assert torch.allclose(one, other, atol=1e-3)  # differences of float32 estimates, divided by s^2 = 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be an integer of at least 1, got 0"),
        ({"pairs": 0}, "pairs must be an integer of at least 1, got 0"),
        ({"variance": 0.0}, "variance must be a positive finite number, got 0.0"),
        ({"beta": -1.0}, "beta must be a positive finite number, got -1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GuidedES(value=bent, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("pairs", [1, 3, 32])
def test_the_two_ways_of_one_run_are_one(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def value(phis: torch.Tensor) -> torch.Tensor:
        return (phis - 0.3).square().sum(dim=-1).neg()

    source, phi, found = GuidedES(value=value, pairs=pairs), torch.linspace(-1, 1, 5)[None], []
    for few in (32, 0):
        monkeypatch.setattr(guided_es, "_FEW", few)
        state = source.init(1, 5)
        for step in range(3):
            generator = torch.Generator().manual_seed(step)
            direction, state = source.direction(state, phi, torch.cos(phi + step), generator=generator)
        found.append(direction)
    torch.testing.assert_close(found[0], found[1])
