"""The squared hinge by sorting is the sum over all pairs, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.pairwise.auroc_squared_hinge import auroc_squared_hinge


def twin(scores, targets, margin=1.0):
    value, slope = 0.0, np.zeros_like(scores)
    positives, negatives = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)
    for p in positives:
        for n in negatives:
            short = max(0.0, margin - (scores[p] - scores[n]))
            value += short**2
            slope[p] -= 2 * short
            slope[n] += 2 * short
    pairs = max(len(positives) * len(negatives), 1)
    return value / pairs, slope / pairs


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_all_pairs(margin):
    for scores, targets in binary_batches():
        assert_equal(auroc_squared_hinge, twin, scores, targets, margin=margin)


def test_labels_with_both_classes_count():
    assert_equal(auroc_squared_hinge, column_mean(twin, lambda t: 0 < t.mean() < 1), *multilabel_batch())


def test_float32_does_not_cancel():
    random = generator(3, "far away")
    scores = 1000 + torch.randn(5000, generator=random)
    targets = (torch.rand(5000, generator=random) < 0.3).long()
    exact = auroc_squared_hinge(scores.double(), targets)
    torch.testing.assert_close(auroc_squared_hinge(scores, targets).double(), exact, rtol=1e-6, atol=0)


def test_second_derivatives():
    scores, targets = torch.randn(9, generator=generator(4), dtype=torch.float64), torch.arange(9) % 2
    assert torch.autograd.gradgradcheck(lambda s: auroc_squared_hinge(s, targets), scores.requires_grad_())


def test_the_margin_must_be_positive():
    with pytest.raises(ConfigError, match="margin must be a positive finite number, got -1"):
        auroc_squared_hinge(torch.zeros(2), torch.tensor([0, 1]), margin=-1)
