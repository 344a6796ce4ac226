"""LambdaLoss beside a twin that goes through the pairs, and through the orders of tied items."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import pair_blocks
from metricopt.losses.ranking.ndcg_lambda import ndcg_lambda


def discount(place, k):
    return 1 / np.log2(2 + place) if k is None or place < k else 0.0


def swap_weight(scores, i, j, k, mu):
    """Mean over the orders of equal scores of rho, plus mu delta at the mean distance."""
    above = [int((scores > scores[x]).sum()) for x in (i, j)]
    size = [int((scores == scores[x]).sum()) for x in (i, j)]
    own = [range(a, a + s) for a, s in zip(above, size, strict=True)]
    if scores[i] == scores[j]:
        rho = np.mean([abs(discount(a, k) - discount(b, k)) for a, b in permutations(own[0], 2)])
        distance = np.mean([abs(a - b) for a, b in permutations(own[0], 2)])
    else:
        rho = abs(np.mean([discount(a, k) for a in own[0]]) - np.mean([discount(b, k) for b in own[1]]))
        distance = abs(np.mean(own[0]) - np.mean(own[1]))
    if k is not None and min(np.mean(own[0]), np.mean(own[1])) + 1 > k:
        return rho
    return rho + mu * (1 / np.log2(1 + distance) - 1 / np.log2(2 + distance))


def twin(scores, targets, k=None, mu=10.0, sigma=1.0):
    gains = 2.0**targets - 1
    best = sum(g * discount(p, k) for p, g in enumerate(sorted(gains, reverse=True)))
    value, slope = 0.0, np.zeros_like(scores)
    for i in range(len(scores)):
        for j in range(len(scores)):
            if targets[i] > targets[j]:
                weight = swap_weight(scores, i, j, k, mu) * (gains[i] - gains[j]) / best
                value += weight * np.log2(1 + np.exp(-sigma * (scores[i] - scores[j])))
                push = weight * sigma / (1 + np.exp(sigma * (scores[i] - scores[j]))) / np.log(2)
                slope[i] -= push
                slope[j] += push
    return value, slope


def lists():
    for size, grades in ((1, 2), (2, 2), (6, 2), (9, 5), (17, 3), (12, 1)):
        for grid in (False, True):
            random = generator(size, grades, "lists")
            scores = 2 * torch.randn(size, generator=random, dtype=torch.float64)
            yield scores.round() if grid else scores, torch.randint(grades, (size,), generator=random)


@pytest.mark.parametrize("options", [{}, {"mu": 0.0}, {"k": 3}, {"k": 2, "mu": 0.0, "sigma": 0.5}])
@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_pairs_and_ties(options, block, monkeypatch):
    monkeypatch.setattr(pair_blocks, "block_size", lambda device: block)
    for scores, targets in lists():
        assert_equal(ndcg_lambda, twin, scores, targets, **options)


def test_lists_with_something_relevant_count():
    scores, targets = (torch.stack(part) for part in zip(*[x for x in lists() if len(x[0]) == 17], strict=True))
    targets[1] = torch.zeros(17)
    alone = ndcg_lambda(scores[0], targets[0])
    torch.testing.assert_close(ndcg_lambda(scores, targets), alone)
    targets[1] = targets[0].flip(0)
    mean = (alone + ndcg_lambda(scores[1], targets[1])) / 2
    torch.testing.assert_close(ndcg_lambda(scores, targets), mean)


@pytest.mark.parametrize(("option", "message"), [({"k": 0}, "k must be"), ({"mu": -1.0}, "mu must be")])
def test_options_out_of_range(option, message):
    with pytest.raises(ConfigError, match=message):
        ndcg_lambda(torch.zeros(2), torch.zeros(2), **option)
