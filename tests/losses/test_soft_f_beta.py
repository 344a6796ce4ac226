"""Soft F-beta beside a slow twin, and equal to the hard score where probabilities are hard."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import soft_f_beta
from metricopt.metrics import get_metric

RANDOM = generator(22, "soft F")


def twin(p, t, beta):
    tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    return ((1 + beta**2) * tp + 1e-6) / ((1 + beta**2) * tp + beta**2 * fn + fp + 1e-6)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_counts_of_probabilities(beta):
    scores = torch.randn(11, 3, generator=RANDOM, dtype=torch.float64)
    classes, labels = torch.randint(3, (11,), generator=RANDOM), torch.randint(2, (11, 3), generator=RANDOM)
    p, soft = scores.sigmoid().numpy(), scores.softmax(1).numpy()
    want = 1 - twin(p[:, 0], labels[:, 0].numpy(), beta)
    assert float(soft_f_beta(scores[:, 0], labels[:, 0], beta=beta)) == pytest.approx(want, abs=1e-12)
    want = 1 - np.mean([twin(p[:, c], labels[:, c].numpy(), beta) for c in range(3)])
    assert float(soft_f_beta(scores, labels, beta=beta)) == pytest.approx(want, abs=1e-12)
    want = 1 - np.mean([twin(soft[:, c], (classes == c).long().numpy(), beta) for c in range(3)])
    assert float(soft_f_beta(scores, classes, beta=beta)) == pytest.approx(want, abs=1e-12)


def test_hard_probabilities_give_the_hard_score():
    scores = torch.randn(50, generator=RANDOM).sign() * 60
    targets = torch.randint(2, (50,), generator=RANDOM)
    hard = get_metric("f_beta", beta=2.0)(scores, targets)
    assert float(soft_f_beta(scores, targets, beta=2.0)) == pytest.approx(1 - hard, abs=1e-6)


def test_beta_must_be_positive():
    with pytest.raises(ConfigError, match="beta must be a positive finite number, got 0"):
        soft_f_beta(torch.zeros(2), torch.zeros(2), beta=0)
