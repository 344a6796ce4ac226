"""Short noisy runs over a smooth function of phi: what the value function is for, in small."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from metricopt._random import generator
from metricopt.value import Trajectories


def smooth(phis: Tensor) -> Tensor:
    """A utility with one maximum off the origin, `(..., d)` to `(...,)`."""
    distance = (phis - 0.4).square().mean(dim=-1)
    return 0.9 - 0.5 * distance / (1 + distance)


def make_runs(
    *, runs: int = 40, steps: int = 30, observed: int = 8, dim: int = 8, noise: float = 0.005, seed: int = 0
) -> Trajectories:
    """Runs that start anywhere and drift; `observed` steps of each carry a noisy utility."""
    stream = generator(seed, "test runs")
    trajectories = Trajectories(runs=runs, fingerprint="test", dim=dim)
    seen = torch.rand(runs, steps, generator=stream).argsort(dim=1) < observed
    phis = torch.randn(runs, dim, generator=stream)
    for step in range(steps):
        utilities = smooth(phis) + noise * torch.randn(runs, generator=stream)
        trajectories.append(step, phis, utilities.clamp(0, 1).masked_fill(~seen[:, step], torch.nan))
        phis = 0.97 * phis + 0.05 * torch.randn(runs, dim, generator=stream)
    return trajectories


@pytest.fixture
def runs_of() -> Callable[..., Trajectories]:
    return make_runs


@pytest.fixture
def utility_of() -> Callable[[Tensor], Tensor]:
    return smooth
