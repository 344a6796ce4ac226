"""Cross-entropy against the textbook."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy, get_loss
from numpy_twin import assert_equals_twin, softmax, softplus


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "cross entropy"), dtype=torch.float64)


@pytest.mark.parametrize("weights", [None, [0.3, 2.0, 1.1], [0.5, 3.0, 0.0]])
def test_every_kind_equals_the_twin(weights):
    w = [1.0] * 3 if weights is None else weights

    def binary(z, t):
        return np.mean([w[y] * softplus(-x if y else x) for x, y in zip(z, t, strict=True)])

    def labels(z, t):
        return np.mean([w[c] * softplus(-z[i, c] if t[i, c] else z[i, c]) for i, c in np.ndindex(z.shape)])

    def classes(z, t):
        return np.mean([-w[y] * np.log(softmax(row)[y]) for row, y in zip(z, t, strict=True)])

    def loss(count):
        return get_loss(
            "cross_entropy", class_weights=None if weights is None else torch.tensor(w[:count], dtype=torch.float64)
        )

    assert_equals_twin(loss(2), binary, scores_of(5), torch.tensor([0, 1, 1, 0, 1]))
    assert_equals_twin(loss(3), labels, scores_of(4, 3), torch.eye(4, 3).long())
    assert_equals_twin(loss(3), classes, scores_of(4, 3), torch.tensor([0, 2, 2, 1]))


def test_weights_of_the_wrong_length_are_refused():
    with pytest.raises(ConfigError, match=r"class_weights must have shape \(2,\), got \(3,\)"):
        cross_entropy(torch.zeros(2), torch.tensor([0, 1]), class_weights=torch.ones(3))
