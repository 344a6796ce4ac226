"""The hinge by sorting is the sum over all pairs, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt.losses.pairwise.auroc_hinge import auroc_hinge


def twin(scores, targets, margin=1.0):
    value, slope = 0.0, np.zeros_like(scores)
    positives, negatives = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)
    for p in positives:
        for n in negatives:
            short = margin - (scores[p] - scores[n])
            if short > 0:
                value += short
                slope[p] -= 1
                slope[n] += 1
    pairs = max(len(positives) * len(negatives), 1)
    return value / pairs, slope / pairs


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_all_pairs_and_no_slope_at_the_margin(margin):
    # Grids of 1/2 and these margins are exact in binary, so many pairs stand exactly at the margin.
    for scores, targets in binary_batches():
        assert_equal(auroc_hinge, twin, scores, targets, margin=margin)


def test_labels_with_both_classes_count():
    assert_equal(auroc_hinge, column_mean(twin, lambda t: 0 < t.mean() < 1), *multilabel_batch())


def test_the_margin_must_be_positive():
    with pytest.raises(ConfigError, match="margin must be a positive finite number, got -1"):
        auroc_hinge(torch.zeros(2), torch.tensor([0, 1]), margin=-1)
