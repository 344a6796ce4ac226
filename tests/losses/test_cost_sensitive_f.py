"""Cost-sensitive cross-entropy: its twin, and the theorem that it rests on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from metricopt.losses.confusion.cost_sensitive_f import cost_grid
from numpy_twin import assert_equals_twin, softplus


@pytest.mark.parametrize(("beta", "t"), [(1.0, None), (1.0, 1.6), (2.0, 0.3), (0.5, 1.2)])
def test_binary_and_labels_equal_the_twin(beta, t):
    cost = 0.5 if t is None else t

    def twin(z, y):
        pairs = list(zip(z.ravel(), y.ravel(), strict=True))
        return sum((1 + beta**2 - cost) * softplus(-x) if true else cost * softplus(x) for x, true in pairs) / len(
            pairs
        )

    loss = get_loss("cost_sensitive_f", beta=beta, t=t)
    scores = 2 * torch.randn(6, generator=generator(0, "cost"), dtype=torch.float64)
    assert_equals_twin(loss, twin, scores, torch.tensor([0, 1, 1, 0, 0, 1]))
    assert_equals_twin(loss, twin, scores.reshape(3, 2), torch.tensor([[0, 1], [1, 0], [0, 0]]))


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_threshold_of_the_least_cost_at_the_best_t_has_the_best_f(beta):
    """Parambath's theorem on all thresholds of one score: least cost at t = F* gives F*."""
    random = generator(1, "theorem")
    targets = (torch.rand(200, generator=random) < 0.2).numpy()
    scores = torch.randn(200, generator=random).numpy() + 1.5 * targets
    counts = [((scores > s) & targets, (scores > s) & ~targets, (scores <= s) & targets) for s in scores]
    tp, fp, fn = (np.array([c[i].sum() for c in counts]) for i in range(3))
    f = (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp)
    cost = (1 + beta**2 - f.max()) * fn + f.max() * fp
    assert f[cost.argmin()] == pytest.approx(f.max())


def test_at_equal_costs_it_is_cross_entropy():
    scores, targets = torch.randn(8, generator=generator(2, "equal")), (torch.arange(8) % 2).long()
    torch.testing.assert_close(
        get_loss("cost_sensitive_f", t=1.0)(scores, targets), get_loss("cross_entropy")(scores, targets)
    )


def test_the_grid_lies_inside():
    grid = cost_grid(beta=2.0)
    assert len(grid) == 19 and 0 < grid[0] and grid[-1] < 5 and grid == sorted(grid)


@pytest.mark.parametrize("options", [{"t": 0.0}, {"t": 2.0}, {"beta": -1.0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError):
        get_loss("cost_sensitive_f", **options)(torch.zeros(2), torch.tensor([0, 1]))
