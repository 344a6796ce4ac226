"""Soft ranks and Spearman beside a twin that finds the isotonic fit by its min-max formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from loss_twin import assert_equal, by_differences
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking import isotonic
from metricopt.losses.ranking.soft_spearman import soft_ranks, soft_spearman
from rank_twin import ranks


def falling_fit(values):
    n = len(values)
    return [min(max(np.mean(values[a : b + 1]) for b in range(i, n)) for a in range(i + 1)) for i in range(n)]


def slow_soft_ranks(scores, strength):
    n = len(scores)
    order = np.argsort(-scores, kind="stable")
    falling = scores[order] / strength
    soft = np.zeros(n)
    soft[order] = falling - falling_fit(falling - np.arange(n, 0, -1) / n)
    return soft


@by_differences
def twin(scores, targets, strength=1.0):
    n = len(scores)
    aim = n + 1 - ranks(targets)
    aim = aim - aim.mean()
    if not aim.any():
        return 0.0
    hard = np.arange(1, n + 1) / n
    hard = hard - hard.mean()
    return 1 - slow_soft_ranks(scores, strength) @ aim / np.sqrt((hard @ hard) * (aim @ aim))


def lists():
    for size, grades in ((1, 2), (2, 2), (6, 2), (9, 5), (12, 100), (12, 1)):
        for grid in (False, True):
            random = generator(size, grades, "lists")
            scores = 2 * torch.randn(size, generator=random, dtype=torch.float64)
            yield scores.round() if grid else scores, torch.randint(grades, (size,), generator=random)


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_the_projection_and_its_slope(strength):
    for scores, targets in lists():
        np.testing.assert_allclose(
            soft_ranks(scores[None], strength=strength)[0], slow_soft_ranks(scores.numpy(), strength), atol=1e-12
        )
        assert_equal(soft_spearman, twin, scores, targets, strength=strength)


def test_blocks_of_several_rows_do_not_mix():
    values = torch.randn(5, 30, generator=generator(1, "rows"), dtype=torch.float64)
    blocks = isotonic.falling_blocks(values)
    for row, block in zip(values, blocks, strict=True):
        fit = torch.tensor(falling_fit(row.numpy()))
        means = torch.stack([row[block == b].mean() for b in block])
        torch.testing.assert_close(means, fit)
        assert block[0] == 0 and set(block.tolist()) == set(range(int(block[-1]) + 1))
    torch.testing.assert_close(vmap(isotonic.falling_blocks, in_dims=2)(values[..., None])[0], blocks)


def test_far_apart_it_is_spearman_itself():
    random = generator(2, "hard")
    scores, targets = torch.randn(50, generator=random), torch.randn(50, generator=random)
    exact = np.corrcoef(ranks(scores.numpy()), ranks(targets.numpy()))[0, 1]
    assert float(soft_spearman(scores, targets, strength=1e-6)) == pytest.approx(1 - exact, abs=1e-6)


def test_a_large_strength_is_the_correlation_of_scores_with_ranks():
    random = generator(3, "linear")
    scores = torch.randn(50, generator=random, dtype=torch.float64)
    expected = (scores - scores.mean()) / 1e4 + 51 / 100
    torch.testing.assert_close(soft_ranks(scores[None], strength=1e4)[0], expected)


def test_second_derivatives_and_the_mean_over_lists():
    random = generator(4, "lists")
    scores, targets = (torch.randn(3, 9, generator=random, dtype=torch.float64) for _ in range(2))
    targets[1] = 0.0
    mean = (soft_spearman(scores[0], targets[0]) + soft_spearman(scores[2], targets[2])) / 2
    torch.testing.assert_close(soft_spearman(scores, targets), mean)
    assert torch.autograd.gradgradcheck(lambda s: soft_ranks(s).pow(3).sum(), scores.requires_grad_())


def test_the_strength_must_be_positive():
    with pytest.raises(ConfigError, match="strength must be a positive finite number, got 0"):
        soft_spearman(torch.zeros(2), torch.zeros(2), strength=0)
