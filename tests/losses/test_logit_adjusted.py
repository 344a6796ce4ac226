"""Logit-adjusted cross-entropy against Eq. 10 of Menon et al."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, softmax, softplus


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "logit adjusted"), dtype=torch.float64)


@pytest.mark.parametrize("tau", [0.0, 1.0, 1.7])
@pytest.mark.parametrize("counts", [None, [5.0, 700.0, 30.0]])
def test_classes_equal_the_twin(tau, counts):
    def twin(z, t):
        found = np.array([max((t == c).sum(), 1) for c in range(3)] if counts is None else counts)
        log_prior = np.log(found / found.sum())
        return np.mean([-np.log(softmax(row + tau * log_prior)[y]) for row, y in zip(z, t, strict=True)])

    loss = get_loss("logit_adjusted", tau=tau, class_counts=counts)
    assert_equals_twin(loss, twin, scores_of(6, 3), torch.tensor([0, 2, 2, 0, 2, 2]))


@pytest.mark.parametrize("counts", [None, [900.0, 20.0]])
def test_binary_equals_the_twin(counts):
    def twin(z, t):
        negatives, positives = [(t == 0).sum(), (t == 1).sum()] if counts is None else counts
        shift = np.log(positives / negatives)
        return np.mean([softplus(-(x + shift) if y else x + shift) for x, y in zip(z, t, strict=True)])

    assert_equals_twin(
        get_loss("logit_adjusted", class_counts=counts), twin, scores_of(5), torch.tensor([0, 1, 0, 0, 1])
    )


def test_its_minimiser_balances_the_classes():
    """On scores that say nothing the best constant is 0: either class is called equally gladly."""
    constant = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    targets = (torch.arange(100) < 7).long()
    loss = get_loss("logit_adjusted")(constant.expand(100), targets)
    (slope,) = torch.autograd.grad(loss, constant)
    assert slope.item() == pytest.approx(0.0, abs=1e-12)
