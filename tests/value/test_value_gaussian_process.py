"""The batched process against scikit-learn and against slow twins."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.value import Hyperparameters, Interpolation, Trajectories, interpolate
from metricopt.value.gaussian_process import _packed, _restricted_likelihood, _Series


def _runs(seen: Tensor, values: Tensor, *, steps: list[int] | None = None) -> Trajectories:
    runs, length = values.shape
    made = Trajectories(runs=runs, fingerprint="test", dim=1)
    for t in range(length):
        made.append(steps[t] if steps else t, torch.zeros(runs, 1), values[:, t].masked_fill(~seen[:, t], torch.nan))
    return made


def _random(runs: int, length: int, counts: list[int], seed: int = 0) -> Trajectories:
    stream = torch.Generator().manual_seed(seed)
    seen = torch.rand(runs, length, generator=stream).argsort(dim=1) < torch.tensor(counts)[:, None]
    time = torch.linspace(0, 1, length, dtype=torch.float64)
    phase = 6 * torch.rand(runs, 1, generator=stream, dtype=torch.float64)
    noise = torch.randn(runs, length, generator=stream, dtype=torch.float64)
    return _runs(seen, 0.6 + 0.1 * torch.sin(5 * time + phase) + 0.01 * noise)


def _fixed(runs: int, seed: int = 0) -> Hyperparameters:
    stream = torch.Generator().manual_seed(seed)
    draw = torch.rand(3, runs, generator=stream, dtype=torch.float64)
    return Hyperparameters(amplitude=0.05 + 0.1 * draw[0], length=0.1 + 0.4 * draw[1], noise=0.005 + 0.02 * draw[2])


def _sklearn(runs: Trajectories, index: int, h: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    steps = runs.steps.numpy().astype(float)
    time = (steps - steps[0]) / max(steps[-1] - steps[0], 1.0)
    seen = runs.observed[index].numpy()
    y = runs.utilities[index].numpy()[seen]
    kernel = ConstantKernel(float(h.amplitude[index]) ** 2, "fixed") * RBF(float(h.length[index]), "fixed")
    process = GaussianProcessRegressor(kernel, alpha=float(h.noise[index]) ** 2, optimizer=None)
    process.fit(time[seen, None], y - y.mean())
    mean, std = process.predict(time[:, None], return_std=True)
    return mean + y.mean(), std


def test_equals_scikit_learn_at_the_same_hyperparameters() -> None:
    runs = _random(6, 40, [1, 2, 3, 7, 20, 40])
    h = _fixed(6)
    curve = interpolate(runs, hyperparameters=h)
    for index in range(6):
        mean, std = _sklearn(runs, index, h)
        np.testing.assert_allclose(curve.mean[index], mean, atol=1e-6, rtol=0)
        np.testing.assert_allclose(curve.std[index], std, atol=1e-6, rtol=0)


def test_uneven_steps_are_scaled_to_the_unit_interval() -> None:
    seen = torch.tensor([[True, False, True, True]])
    runs = _runs(seen, torch.tensor([[0.1, 0.2, 0.3, 0.4]]), steps=[3, 4, 9, 23])
    h = _fixed(1)
    mean, std = _sklearn(runs, 0, h)
    curve = interpolate(runs, hyperparameters=h)
    np.testing.assert_allclose(curve.mean[0], mean, atol=1e-9, rtol=0)
    np.testing.assert_allclose(curve.std[0], std, atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", ["gp", "linear"])
def test_padding_does_not_change_a_run(kind: str) -> None:
    runs = _random(3, 25, [3, 8, 25])
    h = _fixed(3)
    together = interpolate(runs, kind=kind, hyperparameters=h)  # type: ignore[arg-type]
    for index in range(3):
        one = Hyperparameters(**{name: value[index : index + 1] for name, value in vars(h).items()})
        alone = interpolate(runs.select([index]), kind=kind, hyperparameters=one)  # type: ignore[arg-type]
        torch.testing.assert_close(together.mean[index], alone.mean[0], atol=1e-11, rtol=0)
        if kind == "gp":
            torch.testing.assert_close(together.std[index], alone.std[0], atol=1e-9, rtol=0)


def test_padding_does_not_change_the_search() -> None:
    runs = _random(3, 25, [4, 8, 25])
    together = interpolate(runs, share="none").hyperparameters
    assert together is not None
    for index in range(3):
        alone = interpolate(runs.select([index]), share="none").hyperparameters
        assert alone is not None
        for name, value in vars(alone).items():
            torch.testing.assert_close(getattr(together, name)[index], value[0], atol=0, rtol=1e-6)


def test_many_runs_in_chunks_equal_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _random(7, 20, [2, 3, 4, 5, 6, 7, 8])
    whole = interpolate(runs, hyperparameters=_fixed(7))
    monkeypatch.setattr("metricopt.value.gaussian_process._CHUNK_NUMBERS", 8 * 20 * 2)
    parts = interpolate(runs, hyperparameters=_fixed(7))
    torch.testing.assert_close(parts.mean, whole.mean, atol=1e-12, rtol=0)
    torch.testing.assert_close(parts.std, whole.std, atol=1e-12, rtol=0)


def _slow_likelihood(series: _Series, run: int, length: float, ratio: float) -> tuple[float, float]:
    """The density of an orthonormal basis of contrasts, with matrices written out."""
    seen = series.mask[run].numpy()
    time, y = series.times[run].numpy()[seen], series.values[run].numpy()[seen]
    count = len(time)
    kernel = np.exp(-0.5 * ((time[:, None] - time[None, :]) / length) ** 2) + ratio * np.eye(count)
    basis = np.linalg.qr(np.c_[np.ones(count), np.eye(count)[:, 1:]])[0][:, 1:]
    contrast = basis.T @ kernel @ basis
    z = basis.T @ y
    return float(z @ np.linalg.solve(contrast, z)), float(np.linalg.slogdet(contrast)[1])


def test_likelihood_equals_the_density_of_contrasts() -> None:
    series = _packed(_random(4, 30, [2, 3, 6, 12]))
    ratios = torch.tensor([1e-3, 0.1, 2.0], dtype=torch.float64)
    length = torch.tensor([0.1, 0.3, 0.5, 1.0], dtype=torch.float64)
    quadratic, determinant = _restricted_likelihood(series, length, ratios)
    for run in range(4):
        for column, ratio in enumerate(ratios.tolist()):
            slow = _slow_likelihood(series, run, float(length[run]), ratio)
            np.testing.assert_allclose([quadratic[run, column], determinant[run, column]], slow, rtol=1e-8, atol=1e-8)


def _cost(series: _Series, h: tuple[float, float, float]) -> float:
    """Negative log likelihood of all runs at amplitude, length, noise."""
    total = 0.0
    for run in range(len(series.times)):
        quadratic, determinant = _slow_likelihood(series, run, h[1], (h[2] / h[0]) ** 2)
        freedom = int(series.mask[run].sum()) - 1
        total += 0.5 * (quadratic / h[0] ** 2 + determinant + freedom * math.log(h[0] ** 2))
    return total


@pytest.mark.parametrize("share", ["all", "none"])
def test_the_search_finds_the_maximum_of_the_likelihood(share: str) -> None:
    runs = _random(5 if share == "all" else 1, 40, [10] * (5 if share == "all" else 1))
    found = interpolate(runs, share=share, prior=False).hyperparameters  # type: ignore[arg-type]
    assert found is not None
    best = (float(found.amplitude[0]), float(found.length[0]), float(found.noise[0]))
    series = _packed(runs)
    cost = _cost(series, best)
    around = [0.5, 0.8, 1.25, 2.0]
    others = [
        _cost(series, tuple(b * (f if i == j else 1) for j, b in enumerate(best))) for i in range(3) for f in around
    ]  # type: ignore[arg-type]
    # The grid is fine but finite: a neighbour may be better by a small part of one log unit, never more.
    assert min(others) > cost - 0.02
    assert max(others) > cost + 1.0


def test_the_search_recovers_what_made_the_data() -> None:
    stream = torch.Generator().manual_seed(3)
    time = torch.linspace(0, 1, 30, dtype=torch.float64)
    kernel = 0.05**2 * torch.exp(-0.5 * ((time[:, None] - time[None, :]) / 0.2) ** 2)
    factor = torch.linalg.cholesky(kernel + 1e-10 * torch.eye(30, dtype=torch.float64))
    curves = 0.5 + torch.randn(150, 30, generator=stream, dtype=torch.float64) @ factor.T
    values = curves + 0.01 * torch.randn(150, 30, generator=stream, dtype=torch.float64)
    seen = torch.rand(150, 30, generator=stream).argsort(dim=1) < 6
    curve = interpolate(_runs(seen, values))
    assert curve.hyperparameters is not None
    assert float(curve.hyperparameters.amplitude[0]) == pytest.approx(0.05, rel=0.15)
    assert float(curve.hyperparameters.length[0]) == pytest.approx(0.2, rel=0.15)
    assert float(curve.hyperparameters.noise[0]) == pytest.approx(0.01, rel=0.3)
    # Calibrated: errors are as large as the std says.
    assert float(((curve.mean - curves) / curve.std).square().mean().sqrt()) == pytest.approx(1.0, abs=0.2)


@given(counts=st.lists(st.integers(1, 8), min_size=1, max_size=4), seed=st.integers(0, 10_000), flat=st.booleans())
def test_std_stays_above_zero_and_everything_is_finite(counts: list[int], seed: int, flat: bool) -> None:
    runs = _random(len(counts), 12, counts, seed)
    if flat:
        runs = _runs(runs.observed, torch.full((len(counts), 12), 0.25))
    for share in ("all", "none"):
        curve = interpolate(runs, share=share)  # type: ignore[arg-type]
        assert bool(torch.isfinite(curve.mean).all())
        # At one of m repeated observations the std is at least floor / sqrt(m).
        assert float(curve.std.min()) >= 0.9 * 1e-3 / math.sqrt(max(counts))
        if flat:
            torch.testing.assert_close(curve.mean, torch.full_like(curve.mean, 0.25), atol=1e-9, rtol=0)


@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_passes_through_observations_without_noise(seed: int, count: int) -> None:
    runs = _random(2, 12, [count, count], seed)
    h = Hyperparameters(
        amplitude=torch.tensor([0.1], dtype=torch.float64),
        length=torch.tensor([0.05], dtype=torch.float64),
        noise=torch.tensor([1e-5], dtype=torch.float64),
    )
    curve = interpolate(runs, hyperparameters=h)
    seen = runs.observed
    torch.testing.assert_close(curve.mean[seen], runs.utilities[seen], atol=1e-5, rtol=0)
    assert float(curve.std[seen].max()) < 2e-5


def test_one_observation_gives_a_flat_curve_that_grows_uncertain() -> None:
    runs = _random(3, 20, [1, 10, 10])
    curve = interpolate(runs)
    seen = runs.observed[0]
    torch.testing.assert_close(curve.mean[0], runs.utilities[0][seen].expand(20), atol=1e-12, rtol=0)
    assert float(curve.std[0].max()) > 2 * float(curve.std[0][seen])


def test_a_run_without_observation_is_an_error() -> None:
    runs = _runs(torch.tensor([[True], [False]]), torch.full((2, 1), 0.5))
    with pytest.raises(ConfigError, match=r"runs \[1\] have no observation"):
        interpolate(runs)
    with pytest.raises(ConfigError, match="no observation"):
        interpolate(Trajectories(runs=1, fingerprint="f", dim=1))


def test_a_single_step_works() -> None:
    runs = _runs(torch.tensor([[True]]), torch.full((1, 1), 0.5))
    for kind in ("gp", "linear"):
        curve = interpolate(runs, kind=kind)  # type: ignore[arg-type]
        assert curve.mean.tolist() == [[0.5]]
        assert float(curve.std) > 0


def test_noise_of_zero_that_makes_it_singular_is_an_error() -> None:
    runs = _runs(torch.tensor([[True, True]]), torch.tensor([[0.5, 0.6]]), steps=[4, 4])
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ConfigError, match="give a larger noise"):
        interpolate(runs, hyperparameters=Hyperparameters(amplitude=one, length=one, noise=0 * one))


def test_linear_equals_numpy_interp() -> None:
    runs = _random(4, 30, [1, 2, 5, 30])
    curve = interpolate(runs, kind="linear")
    for index in range(4):
        seen = runs.observed[index].numpy()
        expected = np.interp(np.arange(30), np.arange(30)[seen], runs.utilities[index].numpy()[seen])
        np.testing.assert_allclose(curve.mean[index], expected, atol=1e-12, rtol=0)
    assert len(curve.std.unique()) == 1
    assert curve.hyperparameters is None


def test_names_of_choices_are_checked() -> None:
    runs = _random(1, 5, [2])
    with pytest.raises(ConfigError, match="kind must be one of gp, linear"):
        interpolate(runs, kind="spline")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="share must be one of all, none"):
        interpolate(runs, share="some")  # type: ignore[arg-type]


def test_a_large_set_is_searched_on_some_of_its_runs(
    monkeypatch: pytest.MonkeyPatch, runs_of: Callable[..., Trajectories]
) -> None:
    runs = runs_of(runs=40)
    whole: Interpolation = interpolate(runs)
    monkeypatch.setattr("metricopt.value.gaussian_process._SEARCH_COST", 8**3 * 16)
    some = interpolate(runs)
    assert whole.hyperparameters is not None
    assert some.hyperparameters is not None
    assert some.mean.shape == whole.mean.shape
    assert float(some.hyperparameters.length[0]) != float(whole.hyperparameters.length[0])
    assert float((some.mean - whole.mean).abs().max()) < 0.05
