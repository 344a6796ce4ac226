"""AP-loss and its update beside a twin that goes through the positives one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking.error_driven_ap import error_driven_ap
from metricopt.metrics import get_metric


def twin(scores, targets, delta=1.0, interpolated=False):
    def ramp(x):
        return min(max(x / (2 * delta) + 0.5, 0.0), 1.0)

    positives, negatives = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)
    count = max(len(positives), 1)
    best, value, update = 0.0, 0.0, np.zeros_like(scores)
    for p in sorted(positives, key=lambda i: scores[i]):
        worse = {n: ramp(scores[n] - scores[p]) for n in negatives}
        whole = 1 + sum(worse.values()) + sum(ramp(scores[j] - scores[p]) for j in positives if j != p)
        precision = 1 - sum(worse.values()) / whole
        factor = 1.0
        if interpolated and best > precision:
            factor, precision = (1 - best) / (1 - precision), best
        best = max(best, precision)
        value += (1 - precision) / count
        update[p] = -(1 - precision) / count
        for n, height in worse.items():
            update[n] += factor * height / whole / count
    return value, update


@pytest.mark.parametrize("interpolated", [False, True])
@pytest.mark.parametrize("delta", [0.25, 1.0, 4.0])
def test_ramps_and_the_update(delta, interpolated):
    options = {"delta": delta, "interpolated": interpolated}
    for scores, targets in binary_batches():
        assert_equal(error_driven_ap, twin, scores, targets, **options)
    assert_equal(error_driven_ap, column_mean(twin, lambda t: t.any()), *multilabel_batch(), **options)


def test_steep_ramps_give_average_precision():
    random = generator(8, "steep")
    scores, targets = torch.randn(200, generator=random), (torch.rand(200, generator=random) < 0.2).long()
    exact = get_metric("average_precision")(scores, targets)
    assert float(error_driven_ap(scores, targets, delta=1e-7)) == pytest.approx(1 - exact, abs=1e-6)


def test_the_updates_of_a_list_balance():
    random = generator(9, "balance")
    scores, targets = torch.randn(50, generator=random), (torch.rand(50, generator=random) < 0.4).long()
    for interpolated in (False, True):
        scores.requires_grad_().grad = None
        error_driven_ap(scores, targets, interpolated=interpolated).backward()
        assert float(scores.grad.sum()) == pytest.approx(0, abs=1e-6)


def test_delta_must_be_positive():
    with pytest.raises(ConfigError, match="delta must be a positive finite number, got 0"):
        error_driven_ap(torch.zeros(2), torch.tensor([0, 1]), delta=0)
