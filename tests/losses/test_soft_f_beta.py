"""Soft F-beta against its definition, and equal to the hard score where probabilities are hard."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss, soft_f_beta
from metricopt.metrics import get_metric
from numpy_twin import assert_equals_twin, sigmoid, softmax

SMOOTH = 1e-6


def f(p, t, beta):
    tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
    return ((1 + beta**2) * tp + SMOOTH) / ((1 + beta**2) * tp + beta**2 * fn + fp + SMOOTH)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_every_kind_equals_the_twin(beta):
    def columns(z, t):
        z, t = z.reshape(len(z), -1), t.reshape(len(t), -1)
        p = np.array([[sigmoid(x) for x in row] for row in z])
        return 1 - np.mean([f(p[:, c], t[:, c], beta) for c in range(z.shape[1])])

    def classes(z, t):
        p, truth = np.array([softmax(row) for row in z]), np.eye(3)[t]
        return 1 - np.mean([f(p[:, c], truth[:, c], beta) for c in range(3)])

    scores = 2 * torch.randn(4, 3, generator=generator(0, "soft f"), dtype=torch.float64)
    loss = get_loss("soft_f_beta", beta=beta)
    assert_equals_twin(loss, columns, scores[:, 0], torch.tensor([0, 1, 1, 0]))
    assert_equals_twin(loss, columns, scores, torch.eye(4, 3).long())
    assert_equals_twin(loss, classes, scores, torch.tensor([0, 2, 2, 1]))


def test_hard_probabilities_give_the_hard_score():
    random = generator(22, "soft F")
    scores = torch.randn(50, generator=random).sign() * 60
    targets = torch.randint(2, (50,), generator=random)
    hard = get_metric("f_beta", beta=2.0)(scores, targets)
    assert float(soft_f_beta(scores, targets, beta=2.0)) == pytest.approx(1 - hard, abs=1e-6)


def test_beta_must_be_positive():
    with pytest.raises(ConfigError, match="beta must be a positive finite number, got 0"):
        soft_f_beta(torch.zeros(2), torch.zeros(2), beta=0)
