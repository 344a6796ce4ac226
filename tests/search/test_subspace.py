"""The span of past gradients, and Eq. 3 over it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.search.subspace import covariance, perturbations, perturbations_of_one, span


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def projector(rows: Tensor) -> np.ndarray:
    """U U^T of the span of `rows` `(k, d)`, by singular values in float64: an independent way to the same matrix."""
    _, values, directions = np.linalg.svd(rows.double().numpy(), full_matrices=False)
    kept = directions[values > 1e-4 * max(values.max(), 1e-300)] if len(values) else directions
    return np.asarray(kept.T @ kept)


@given(
    n=st.integers(1, 4), k=st.integers(1, 5), d=st.integers(1, 9), seed=st.integers(0, 999), scale=st.integers(-12, 6)
)
def test_span_is_the_span_whatever_the_length_of_the_gradients(n: int, k: int, d: int, seed: int, scale: int) -> None:
    past = torch.randn(n, k, d, generator=stream(seed)) * 10.0**scale
    basis, ranks = span(past)
    for run in range(n):
        expected = projector(past[run])
        assert basis[run].numpy() @ basis[run].numpy().T == pytest.approx(expected, abs=5e-3)  # random rows, float32
        assert (basis.shape[2] if ranks is None else ranks[run]) == round(float(np.trace(expected)))


def test_parallel_gradients_count_once_and_hide_none_that_follow() -> None:
    a, b = torch.randn(2, 8, generator=stream())
    basis, ranks = span(torch.stack([a, -3 * a, a + b])[None])
    assert ranks == [2]
    assert (basis[0] @ basis[0].T).numpy() == pytest.approx(projector(torch.stack([a, b])), abs=1e-5)


def test_gradients_of_very_different_length_count_alike() -> None:
    a, b = torch.randn(2, 8, generator=stream())
    basis, _ = span(torch.stack([a, 1e-9 * b, torch.zeros(8)])[None])
    expected = projector(torch.stack([a, b]))
    assert (basis[0] @ basis[0].T).numpy() == pytest.approx(expected, abs=1e-5)


def test_each_run_has_its_own_rank() -> None:
    a, b = torch.randn(2, 6, generator=stream())
    zero = torch.zeros(6)
    past = torch.stack([torch.stack(rows) for rows in ([a, b], [a, a], [zero, zero])])
    basis, ranks = span(past)
    assert ranks == [2, 1, 0]
    assert basis.square().sum(dim=(1, 2)).tolist() == pytest.approx([2, 1, 0], abs=1e-5)


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a loss gradient is not finite; take smaller steps"):
        span(torch.full((1, 2, 3), torch.nan))


@given(n=st.integers(1, 3), k=st.integers(0, 6), d=st.integers(1, 40), zeros=st.booleans(), seed=st.integers(0, 99))
def test_the_covariance_has_trace_one(n: int, k: int, d: int, zeros: bool, seed: int) -> None:
    past = torch.randn(n, k, d, generator=stream(seed), dtype=torch.float64)
    if zeros:
        past[0] = 0
    sigma = covariance(span(past))
    assert sigma.diagonal(dim1=-2, dim2=-1).sum(dim=-1).tolist() == pytest.approx([1.0] * n, abs=1e-9)


def test_the_covariance_is_equation_three() -> None:
    past = torch.randn(1, 3, 7, generator=stream(), dtype=torch.float64)
    expected = np.eye(7) / (2 * 7) + projector(past[0]) / (2 * 3)
    assert covariance(span(past))[0].numpy() == pytest.approx(expected, abs=1e-12)


def past_gradients(case: str) -> Tensor:
    made = torch.randn(2, 3, 5, generator=stream(1))
    if case == "none":
        return made[:, :0]
    if case == "one run parallel":
        made[1, 1] = 2 * made[1, 0]
    if case == "one run zero":
        made[1] = 0
    return made


@pytest.mark.parametrize("case", ["none", "independent", "one run parallel", "one run zero"])
def test_samples_have_the_covariance_of_equation_three(case: str) -> None:
    space, variance, count = span(past_gradients(case)), 0.04, 40_000
    deltas = perturbations(space, count, variance, generator=stream(2))
    assert deltas.shape == (2, count, 5)
    sample = deltas.mT @ deltas / count
    # A sample covariance has a standard error of at most s^2 sqrt(2 / count) = 0.007 s^2 an entry (Sigma_ii <= 1);
    # five of them over 50 entries leave no room for chance.
    assert (sample / variance - covariance(space)).abs().max() < 0.035
    assert deltas.mean(dim=1).abs().max() < 5 * (variance / count) ** 0.5


def test_samples_of_a_full_subspace_do_not_depend_on_the_way_they_are_made() -> None:
    """One run of lower rank sends all runs the general way; the others must get what they got."""
    past = torch.randn(2, 3, 6, generator=stream(3))
    quick = perturbations(span(past), 4, 0.01, generator=stream(4))
    basis, _ = span(past)
    general = perturbations(type(span(past))(basis, [3, 3]), 4, 0.01, generator=stream(4))
    assert torch.allclose(quick, general, atol=1e-7)


@pytest.mark.parametrize(("k", "d"), [(0, 4), (1, 4), (3, 4), (5, 4)])
@pytest.mark.parametrize("parallel", [False, True])
def test_one_run_gets_the_samples_of_a_population_of_one(k: int, d: int, parallel: bool) -> None:
    past = torch.randn(k, d, generator=stream(6))
    if parallel:
        past = past[:1].expand(k, d)
    alone = perturbations_of_one(past, 5, 0.01, generator=stream(7))
    together = perturbations(span(past[None]), 5, 0.01, generator=stream(7))[0]
    assert torch.allclose(alone, together, atol=1e-7)


def test_the_expected_length_of_a_perturbation_is_s_whatever_d() -> None:
    for d in (2, 16, 300):
        space = span(torch.randn(1, 3, d, generator=stream(d)))
        lengths = perturbations(space, 20_000, 0.01, generator=stream(5)).square().sum(dim=-1)
        assert float(lengths.mean()) == pytest.approx(0.01, rel=0.05)  # five standard errors at d = 2, the widest
