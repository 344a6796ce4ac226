"""AP on black-box ranks beside a slow twin, and the metric itself where there is no margin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking.blackbox_ap import blackbox_ap
from metricopt.metrics import get_metric
from rank_twin import both_ranks, through_ranks


def twin(scores, targets, strength=2.0, margin=1.0):
    wanted = targets == 1
    count = max(wanted.sum(), 1)
    shifted = scores - margin * (targets - 0.5)
    everywhere, among = both_ranks(shifted, wanted)
    loss = np.where(wanted, 1 - among / everywhere, 0.0)
    slopes = np.where(wanted, among / everywhere**2, 0.0) / count, np.where(wanted, -1 / everywhere, 0.0) / count
    return loss.sum() / count, through_ranks(shifted, wanted, loss, slopes, strength)


@pytest.mark.parametrize("options", [{}, {"strength": 0.5, "margin": 0.0}, {"strength": 7.0, "margin": 0.5}])
def test_ranks_in_the_place_of_pairs(options):
    for scores, targets in binary_batches():
        assert_equal(blackbox_ap, twin, scores, targets, **options)
    assert_equal(blackbox_ap, column_mean(twin, lambda t: t.any()), *multilabel_batch(), **options)


def test_without_a_margin_the_value_is_the_metric():
    random = generator(8, "exact")
    scores, targets = torch.randn(200, generator=random), (torch.rand(200, generator=random) < 0.2).long()
    exact = get_metric("average_precision")(scores, targets)
    assert float(blackbox_ap(scores, targets, margin=0.0)) == pytest.approx(1 - exact, abs=1e-6)


def test_right_is_lower_than_random_and_that_than_wrong():
    random = generator(9, "order")
    targets = (torch.rand(200, generator=random) < 0.2).long()
    values = [
        float(blackbox_ap(s, targets)) for s in (4.0 * targets, torch.randn(200, generator=random), -4.0 * targets)
    ]
    assert values[0] == 0 and values == sorted(values) and len(set(values)) == 3


def test_descent_raises_average_precision():
    random = generator(10, "descent")
    scores, targets = torch.randn(200, generator=random), (torch.rand(200, generator=random) < 0.2).long()
    before = get_metric("average_precision")(scores, targets)
    scores.requires_grad_()
    optimizer = torch.optim.SGD([scores], lr=20.0)
    for _ in range(50):
        optimizer.zero_grad()
        blackbox_ap(scores, targets).backward()
        optimizer.step()
    assert get_metric("average_precision")(scores.detach(), targets) > before + 0.3


def test_the_margin_must_not_be_negative():
    with pytest.raises(ConfigError, match="margin must be a finite number of at least 0, got -1"):
        blackbox_ap(torch.zeros(2), torch.tensor([0, 1]), margin=-1)
