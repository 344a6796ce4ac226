"""Cross-entropy beside slow NumPy twins, with and without weights of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy, get_loss

RANDOM = generator(21, "cross-entropy")
WIDE = torch.randn(7, 3, generator=RANDOM, dtype=torch.float64)
FLAT = WIDE[:, 0]


def binary_twin(scores, targets, weights=(1, 1)):
    rows = zip(scores.tolist(), targets.tolist(), strict=True)
    # -log p = log(1 + e^-z) and -log(1 - p) = log(1 + e^z)
    return np.mean([weights[t] * np.log(1 + np.exp(-z if t else z)) for z, t in rows])


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 3.0)])
def test_binary(weights):
    targets = torch.randint(2, (7,), generator=RANDOM)
    got = cross_entropy(FLAT, targets, class_weights=torch.tensor(weights))
    assert float(got) == pytest.approx(binary_twin(FLAT, targets, weights), abs=1e-12)
    if weights == (1.0, 1.0):
        assert float(cross_entropy(FLAT, targets)) == pytest.approx(float(got), abs=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, 3.0, 0.0)])
def test_multiclass(weights):
    targets = torch.randint(3, (7,), generator=RANDOM)
    rows = zip(WIDE.numpy(), targets.tolist(), strict=True)
    want = np.mean([-weights[t] * (z[t] - np.log(np.exp(z).sum())) for z, t in rows])
    assert float(cross_entropy(WIDE, targets, class_weights=torch.tensor(weights))) == pytest.approx(want, abs=1e-12)
    if weights == (1.0, 1.0, 1.0):
        assert float(cross_entropy(WIDE, targets)) == pytest.approx(want, abs=1e-12)


def test_multilabel():
    targets = torch.randint(2, (7, 3), generator=RANDOM)
    columns = [binary_twin(WIDE[:, c], targets[:, c]) for c in range(3)]
    assert float(cross_entropy(WIDE, targets)) == pytest.approx(np.mean(columns), abs=1e-12)
    weights = torch.tensor([0.5, 3.0, 0.0])
    want = np.mean([w * c for w, c in zip(weights.tolist(), columns, strict=True)])
    assert float(get_loss("cross_entropy", class_weights=weights)(WIDE, targets)) == pytest.approx(want, abs=1e-12)


def test_weights_of_the_wrong_length():
    with pytest.raises(ConfigError, match=r"class_weights must have shape \(2,\), got \(3,\)"):
        cross_entropy(FLAT, torch.zeros(7), class_weights=torch.ones(3))
