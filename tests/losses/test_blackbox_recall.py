"""Recall on black-box ranks beside a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.ranking.blackbox_recall import blackbox_recall
from rank_twin import both_ranks, through_ranks


def twin(scores, targets, strength=2.0, margin=1.0, weight="loglog"):
    wanted = targets > 0
    count = max(wanted.sum(), 1)
    shifted = scores - margin * (wanted - 0.5)
    everywhere, among = both_ranks(shifted, wanted)
    ahead = np.where(wanted, everywhere - among, 0.0)
    if weight == "log":
        loss, slope = np.log(1 + ahead), 1 / (1 + ahead)
    else:
        loss = np.log(1 + np.log(1 + ahead))
        slope = 1 / (1 + np.log(1 + ahead)) / (1 + ahead)
    slope = np.where(wanted, slope, 0.0) / count
    return loss.sum() / count, through_ranks(shifted, wanted, loss, (slope, -slope), strength)


def row_mean(scores, targets, **options):
    if targets.ndim == 1:
        targets = np.eye(scores.shape[1])[targets]
    rows = [i for i in range(len(scores)) if targets[i].any()]
    slope = np.zeros_like(scores)
    for i in rows:
        slope[i] = twin(scores[i], targets[i], **options)[1] / len(rows)
    return np.mean([twin(scores[i], targets[i], **options)[0] for i in rows]), slope


@pytest.mark.parametrize("options", [{}, {"weight": "log"}, {"strength": 0.5, "margin": 0.0}])
def test_negatives_in_front(options):
    for scores, targets in binary_batches():
        assert_equal(blackbox_recall, twin, scores, targets, **options)
        assert_equal(blackbox_recall, twin, scores, 3 * targets, **options)  # relevance
    scores, targets = multilabel_batch()
    assert_equal(blackbox_recall, row_mean, scores, targets, **options)
    assert_equal(blackbox_recall, row_mean, scores, torch.arange(len(scores)) % 3, **options)


def test_right_is_lower_than_random_and_that_than_wrong():
    random = generator(9, "order")
    targets = (torch.rand(200, generator=random) < 0.2).long()
    values = [
        float(blackbox_recall(s, targets)) for s in (4.0 * targets, torch.randn(200, generator=random), -4.0 * targets)
    ]
    assert values[0] == 0 and values == sorted(values) and len(set(values)) == 3


def test_an_unknown_weight():
    with pytest.raises(ConfigError, match="weight must be one of loglog, log; got 'sqrt'"):
        blackbox_recall(torch.zeros(2), torch.tensor([0, 1]), weight="sqrt")
