"""Random search and CMA-ES: where the points come from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt.adapters import InputBias
from metricopt.methods import CmaEs, RandomSearch
from metricopt.metrics import from_function
from tiny_problem import tiny_problem


def test_random_points_are_normal_in_units_of_reach() -> None:
    problem = tiny_problem(calls=1500, examples=20, adapters=[InputBias(dim=2)])
    z = RandomSearch(radius=2.0).run(problem, seed=0).phis[1:] / problem.phi_scale
    # 1,499 draws: the mean is within 4 standard errors, 2 * 4 / sqrt(1499) = 0.21; so is the standard deviation.
    assert torch.allclose(z.mean(dim=0), torch.zeros(2), atol=0.21)
    assert torch.allclose(z.std(dim=0), torch.full((2,), 2.0), atol=0.15)


def test_first_generation_is_spread_by_sigma() -> None:
    problem = tiny_problem(calls=401, examples=20, adapters=[InputBias(dim=2)])
    z = CmaEs(sigma0=0.25, population=400).run(problem, seed=0).phis[1:] / problem.phi_scale
    assert torch.allclose(z.std(dim=0), torch.full((2,), 0.25), atol=0.04)


def test_equals_the_package_driven_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random numbers through NumPy's global stream, utilities looked up one by one."""
    problem = tiny_problem(calls=1 + 8 * 5)
    numbers = np.random.RandomState(5)
    monkeypatch.setattr("metricopt.methods.cma_es._normals", lambda seed: numbers.randn)
    result = CmaEs().run(problem, seed=0)

    from metricopt.methods.cma_es import _cma

    twin = tiny_problem(calls=None)
    strategy = _cma().CMAEvolutionStrategy(twin.dim * [0.0], 0.5, {"seed": 5, "verbose": -9, "popsize": 8})
    state = np.random.get_state()
    try:
        np.random.seed(5)
        for generation in range(5):
            asked = strategy.ask()
            phis = [twin.phi_scale * torch.tensor(z, dtype=torch.float32) for z in asked]
            assert torch.equal(torch.stack(phis), result.phis[1 + 8 * generation :][:8])
            strategy.tell(asked, [1 - float(twin.observe(phi[None])[0]) for phi in phis])
    finally:
        np.random.set_state(state)


def test_mean_is_proposed_without_an_opinion() -> None:
    best = CmaEs().run(tiny_problem(calls=61), seed=0)
    mean = CmaEs(propose="mean").run(tiny_problem(calls=61), seed=0)
    assert torch.equal(best.phis, mean.phis)
    assert mean.utility is None
    assert not (mean.phis == mean.phi).all(dim=1).any()
    # The mean of selected points lies nearer to the last generation than phi = 0 does.
    last = mean.phis[-8:].mean(dim=0)
    assert (mean.phi - last).norm() < last.norm()


def test_without_one_whole_generation_the_best_is_proposed() -> None:
    result = CmaEs(propose="mean", population=20).run(tiny_problem(calls=12), seed=0)
    assert result.utility == float(result.utilities.max())


def test_a_flat_metric_restarts_with_larger_generations() -> None:
    flat = from_function(lambda outputs, targets: 0.5, name="flat", higher_is_better=True)
    result = CmaEs().run(tiny_problem(calls=2000, examples=4, metric=flat), seed=0)
    assert result.calls == 2000
    assert result.diagnostics["restarts"] >= 1
    assert not result.phi.any()  # the earliest of equals
