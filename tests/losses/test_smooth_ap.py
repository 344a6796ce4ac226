"""SmoothAP beside a twin with two loops; sharp sigmoids give average precision itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, by_differences, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import pair_blocks
from metricopt.losses.ranking.smooth_ap import smooth_ap
from metricopt.metrics import get_metric


@by_differences
def twin(scores, targets, temperature=0.1):
    positives = np.flatnonzero(targets == 1)
    if len(positives) == 0:
        return 0.0
    precision = 0.0
    for p in positives:
        among = everywhere = 1.0
        for j in range(len(scores)):
            if j != p:
                soft = 1 / (1 + np.exp(-(scores[j] - scores[p]) / temperature))
                everywhere += soft
                among += soft * targets[j]
        precision += among / everywhere
    return 1 - precision / len(positives)


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_soft_ranks_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(pair_blocks, "block_size", lambda device: block)
    for scores, targets in binary_batches():
        assert_equal(smooth_ap, twin, scores, targets, temperature=0.7)
    assert_equal(smooth_ap, column_mean(twin, lambda t: t.any()), *multilabel_batch(), temperature=0.7)


def test_sharp_sigmoids_give_average_precision():
    random = generator(8, "sharp")
    scores, targets = torch.randn(200, generator=random), (torch.rand(200, generator=random) < 0.2).long()
    exact = get_metric("average_precision")(scores, targets)
    assert float(smooth_ap(scores, targets, temperature=1e-6)) == pytest.approx(1 - exact, abs=1e-6)


def test_the_temperature_must_be_positive():
    with pytest.raises(ConfigError, match="temperature must be a positive finite number, got 0"):
        smooth_ap(torch.zeros(2), torch.tensor([0, 1]), temperature=0)
