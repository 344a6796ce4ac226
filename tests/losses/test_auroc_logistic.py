"""The logistic loss in blocks is the sum over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt.losses import pair_blocks
from metricopt.losses.pairwise.auroc_logistic import auroc_logistic


def twin(scores, targets):
    value, slope = 0.0, np.zeros_like(scores)
    positives, negatives = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)
    for p in positives:
        for n in negatives:
            wrong = 1 / (1 + np.exp(scores[p] - scores[n]))
            value -= np.log(1 - wrong)
            slope[p] -= wrong
            slope[n] += wrong
    pairs = max(len(positives) * len(negatives), 1)
    return value / pairs, slope / pairs


@pytest.mark.parametrize("block", [1, 30, 10**6])
def test_all_pairs_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(pair_blocks, "block_size", lambda device: block)
    for scores, targets in binary_batches():
        assert_equal(auroc_logistic, twin, scores, targets)
    assert_equal(auroc_logistic, column_mean(twin, lambda t: 0 < t.mean() < 1), *multilabel_batch())


def test_a_second_derivative_is_refused():
    scores = torch.randn(4, requires_grad=True)
    (slope,) = torch.autograd.grad(auroc_logistic(scores, torch.tensor([0, 1, 0, 1])), scores, create_graph=True)
    with pytest.raises(ConfigError, match="first derivative only"):
        slope.sum().backward()
