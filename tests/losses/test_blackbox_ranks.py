"""Ranks and their black-box gradient beside a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

import rank_twin
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking.blackbox_ranks import blackbox_ranks

RANDOM = generator(31, "ranks")


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("strength", [0.1, 1.0, 5.0])
def test_ranks_and_their_gradient(grid, strength):
    scores = torch.randn(4, 11, generator=RANDOM, dtype=torch.float64)
    scores = (scores.round() if grid else scores).requires_grad_()
    upstream = torch.randn(4, 11, generator=RANDOM, dtype=torch.float64)
    upstream[2] = 0
    ranks = blackbox_ranks(scores, strength=strength)
    ranks.backward(upstream)
    for row in range(4):
        values = scores[row].detach().numpy()
        np.testing.assert_array_equal(ranks[row].detach().numpy(), rank_twin.ranks(values))
        slope = rank_twin.backward(values, upstream[row].numpy(), strength)
        np.testing.assert_allclose(scores.grad[row].numpy(), slope, rtol=0, atol=1e-12)


def test_a_factor_behind_the_ranks_scales_the_gradient_and_nothing_else():
    scores = torch.randn(1, 50, generator=RANDOM, dtype=torch.float64)
    weights = torch.randn(1, 50, generator=RANDOM, dtype=torch.float64)
    slopes = [grad(lambda s, by=by: (by * weights * blackbox_ranks(s)).sum())(scores) for by in (1.0, 1024.0)]
    torch.testing.assert_close(slopes[1], 1024 * slopes[0])


def test_vmap_along_any_dimension():
    scores = torch.randn(2, 9, 5, generator=RANDOM)
    torch.testing.assert_close(
        vmap(blackbox_ranks, in_dims=2, out_dims=2)(scores),
        torch.stack([blackbox_ranks(scores[..., i]) for i in range(5)], dim=2),
    )


def test_a_second_derivative_is_refused():
    scores = torch.randn(1, 9, generator=RANDOM, requires_grad=True)
    (slope,) = torch.autograd.grad(blackbox_ranks(scores).square().sum(), scores, create_graph=True)
    with pytest.raises(ConfigError, match="first derivative only"):
        slope.sum().backward()


def test_the_strength_must_be_positive():
    with pytest.raises(ConfigError, match="strength must be a positive finite number, got 0"):
        blackbox_ranks(torch.zeros(1, 2), strength=0)
