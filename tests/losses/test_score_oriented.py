"""Score-oriented loss against the expectation over thresholds that defines it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import confusion_twin as cm
from confusion_twin import matrix_2x2
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, sigmoid, softmax

FORMULAS = {
    "accuracy": cm.accuracy,
    "f1": cm.f_beta,
    "jaccard": cm.jaccard,
    "youden_j": cm.youden_j,
    "balanced_accuracy": cm.balanced_accuracy,
}


def scores_of(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator(0, "score oriented"), dtype=torch.float64)


def distribution(p, mu, delta):
    """The raised cosine's distribution function, from the paper."""
    if p.real <= mu - delta:
        return 0.0
    if p.real >= mu + delta:
        return 1.0
    return 0.5 * (1 + (p - mu) / delta + np.sin(math.pi * (p - mu) / delta) / math.pi)


@pytest.mark.parametrize("score", FORMULAS)
@pytest.mark.parametrize(("mu", "delta"), [(0.5, 0.1), (0.4, 0.3)])
def test_binary_equals_the_twin(score, mu, delta):
    def twin(z, t):
        return 1 - FORMULAS[score](matrix_2x2([distribution(sigmoid(x), mu, delta) for x in z], t))

    targets = (torch.arange(12) % 3 == 0).long()
    assert_equals_twin(get_loss("score_oriented", score=score, mu=mu, delta=delta), twin, scores_of(12), targets)


def test_classes_and_labels_equal_the_mean_of_twins():
    def of_columns(p, t):
        columns = [matrix_2x2([distribution(x, 0.5, 0.4) for x in p[:, c]], t[:, c]) for c in range(p.shape[1])]
        return 1 - np.mean([cm.f_beta(m) for m in columns])

    def classes(z, t):
        return of_columns(np.array([softmax(row) for row in z]), np.eye(3, dtype=int)[t])

    def labels(z, t):
        return of_columns(np.array([[sigmoid(x) for x in row] for row in z]), t)

    loss = get_loss("score_oriented", delta=0.4)
    assert_equals_twin(loss, classes, scores_of(7, 3), torch.tensor([0, 1, 2, 0, 1, 2, 2]))
    assert_equals_twin(loss, labels, scores_of(7, 3), torch.eye(7, 3).long())


@pytest.mark.parametrize("prior", ["cosine", "uniform"])
def test_counts_are_those_expected_under_the_random_threshold(prior):
    """The definition: P(threshold < p). Midpoints of 20,000 thresholds with the weight of the density."""
    mu, delta = 0.45, 0.3
    thresholds = mu + delta * (2 * (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 - 1)
    density = 1 + torch.cos(math.pi * (thresholds - mu) / delta) if prior == "cosine" else torch.ones_like(thresholds)
    scores, targets = scores_of(10), (torch.arange(10) % 2).long()
    called = (torch.sigmoid(scores)[:, None] > thresholds).double() @ (density / density.sum())
    accuracy = (called * targets + (1 - called) * (1 - targets)).mean()
    value = get_loss("score_oriented", score="accuracy", prior=prior, mu=mu, delta=delta)(scores, targets)
    assert value.item() == pytest.approx(1 - accuracy.item(), abs=1e-4)  # 20,000 thresholds


def test_a_score_of_ones_own():
    scores, targets = scores_of(8), (torch.arange(8) % 2).long()
    own = get_loss("score_oriented", score=lambda c: (c.tp + c.tn) / c.n)
    torch.testing.assert_close(own(scores, targets), get_loss("score_oriented", score="accuracy")(scores, targets))


@pytest.mark.parametrize("options", [{"delta": 0.0}, {"mu": 1.0}, {"prior": "normal"}, {"score": "auroc"}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError):
        get_loss("score_oriented", **options)(torch.zeros(2), torch.tensor([0, 1]))
