"""The pieces of trust-region Bayesian optimisation against slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from metricopt._random import generator
from metricopt.methods import TrustRegionBO
from metricopt.methods.trust_region_bo import (
    Region,
    _best_of_each,
    candidates_around,
    fit_process,
    posterior_samples,
    sobol,
)
from metricopt.metrics import from_function
from tiny_problem import tiny_problem


def test_region_doubles_after_three_rounds_of_progress_in_a_row() -> None:
    region = Region(dim=4, batch=1)
    lengths = []
    for best, now in [(0.1, 0.2), (0.2, 0.3), (0.3, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6)]:
        region = region.after(best=best, now=now)
        lengths.append(region.length)
    assert lengths == [0.8, 0.8, 0.8, 0.8, 0.8, 1.6]
    for _ in range(6):
        region = region.after(best=0.1, now=0.9)
    assert region.length == 1.6  # the largest


def test_region_halves_after_rounds_without_progress_until_it_collapses() -> None:
    region, rounds = Region(dim=9, batch=4), 0  # ceil(9 / 4) = 3 rounds
    while not region.collapsed:
        region = region.after(best=0.5, now=0.5004)  # less than 0.1 % is no progress
        rounds += 1
        assert region.length == 0.8 / 2 ** (rounds // 3)
    assert rounds == 3 * 7


def test_candidates_stay_in_the_region_and_move_about_twenty_coordinates() -> None:
    center = torch.rand(100, dtype=torch.float64, generator=generator(0))
    scales = torch.rand(100, dtype=torch.float64, generator=generator(1)) + 0.5
    found = candidates_around(center, Region(dim=100, batch=1, length=0.2), scales, 500, generator(2))
    weights = scales.numpy() / math.exp(np.log(scales.numpy()).mean())
    for candidate in found.numpy():
        assert (np.abs(candidate - center.numpy()) <= 0.1 * weights + 1e-12).all()
        assert ((candidate >= 0) & (candidate <= 1)).all()
    moved = (found != center).sum(dim=1)
    assert 19 < moved.double().mean() < 21
    assert bool((moved >= 1).all())


def test_every_candidate_moves_at_least_one_coordinate() -> None:
    center = torch.full((2000,), 0.5, dtype=torch.float64)
    found = candidates_around(center, Region(dim=2000, batch=1), torch.ones(2000).double(), 50, generator(0))
    assert bool((found != center).any(dim=1).all())


def test_process_and_samples_equal_a_slow_twin() -> None:
    points = sobol(30, 3, seed=1)
    values = torch.sin(5 * points[:, 0]) + points[:, 1]
    values = (values - values.mean()) / values.std(correction=0)
    model = fit_process(points, values, steps=50)
    candidates = torch.rand(20, 3, dtype=torch.float64, generator=generator(3))
    samples = posterior_samples(model, candidates, 4, generator(4))

    scale = model.covar_module.outputscale.item()
    lengths = model.covar_module.base_kernel.lengthscale.detach().numpy().ravel()
    noise, level = model.likelihood.noise.item(), model.mean_module.constant.item()

    def matern(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        out = np.zeros((len(a), len(b)))
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                r = math.sqrt(5 * (((x - y) / lengths) ** 2).sum())
                out[i, j] = scale * (1 + r + r**2 / 3) * math.exp(-r)
        return out

    x, c, y = points.numpy(), candidates.numpy(), values.numpy()
    gram = matern(x, x) + noise * np.eye(30)
    cross = matern(c, x)
    mean = level + cross @ np.linalg.solve(gram, y - level)
    covariance = matern(c, c) - cross @ np.linalg.solve(gram, cross.T)
    normal = torch.randn(4, 20, dtype=torch.float64, generator=generator(4)).numpy()
    twin = mean + normal @ np.linalg.cholesky(covariance + 1e-10 * np.eye(20)).T
    # The package may add up to 1e-6 to the diagonal, which moves a sample by about its root.
    np.testing.assert_allclose(samples.numpy(), twin, atol=3e-3)
    assert np.abs(samples.numpy() - mean).max() > 0.05  # samples, not means


def test_no_candidate_is_chosen_twice() -> None:
    samples = torch.tensor([[1.0, 5.0, 3.0], [0.0, 9.0, 2.0], [7.0, 8.0, 9.0]])
    assert _best_of_each(samples).tolist() == [1, 2, 0]
    assert samples[1, 1] == 9.0


def test_design_is_spread_evenly_and_depends_on_its_seed() -> None:
    design = sobol(64, 2, seed=7)
    counts = np.histogram2d(*design.T.numpy(), bins=8, range=[[0, 1], [0, 1]])[0]
    assert (counts == 1).all()  # a (0, 6, 2)-net: one point in each of 64 squares
    assert not torch.equal(design, sobol(64, 2, seed=8))
    assert sobol(3, 30_000, seed=0).shape == (3, 30_000)


def test_collapse_restarts_with_another_design() -> None:
    flat = from_function(lambda outputs, targets: 0.25, name="flat", higher_is_better=True)
    result = TrustRegionBO(initial=4, batch=8).run(tiny_problem(calls=150, metric=flat), seed=0)
    assert result.diagnostics["restarts"] == 2  # 1 + 4 + 7 * 8 = 61 calls, then 60 each
    assert not torch.equal(result.phis[1:5], result.phis[61:65])
    assert not result.phi.any()


@pytest.mark.parametrize("metric_value", [0.0, 1.0])
def test_the_edges_of_utility_are_no_special_case(metric_value: float) -> None:
    edge = from_function(lambda outputs, targets: metric_value, name="edge", higher_is_better=False)
    assert TrustRegionBO(initial=2).run(tiny_problem(calls=12, metric=edge), seed=0).utility == 1 - metric_value


def test_points_lie_in_the_box() -> None:
    problem = tiny_problem(calls=40)
    result = TrustRegionBO(box=1.5, initial=10, batch=10, candidates=100, fit_steps=10).run(problem, seed=0)
    z = result.phis / problem.phi_scale
    assert z.abs().max() <= 1.5 + 1e-5
    assert z[1:11].abs().max() > 1.0  # the design uses all of it
