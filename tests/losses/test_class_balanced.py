"""Class-balanced cross-entropy against Eq. 10 of Cui et al."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, sigmoid, softmax


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "class balanced"), dtype=torch.float64)


def weights_of(counts, beta):
    raw = np.array([(1 - beta) / (1 - beta ** max(n, 1)) for n in counts])
    return raw * len(counts) / raw.sum()


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
@pytest.mark.parametrize("counts", [None, [5.0, 700.0, 30.0]])
def test_classes_equal_the_twin(beta, counts):
    def twin(z, t):
        weights = weights_of([(t == c).sum() for c in range(3)] if counts is None else counts, beta)
        return np.mean([-weights[y] * np.log(softmax(row)[y]) for row, y in zip(z, t, strict=True)])

    loss = get_loss("class_balanced", beta=beta, class_counts=counts)
    assert_equals_twin(loss, twin, scores_of(6, 3), torch.tensor([0, 2, 2, 0, 2, 2]))


@pytest.mark.parametrize("counts", [None, [900.0, 20.0]])
def test_binary_equals_the_twin(counts):
    def twin(z, t):
        weights = weights_of([(t == c).sum() for c in range(2)] if counts is None else counts, 0.99)
        return np.mean([-weights[y] * np.log(sigmoid(x if y else -x)) for x, y in zip(z, t, strict=True)])

    loss = get_loss("class_balanced", beta=0.99, class_counts=counts)
    assert_equals_twin(loss, twin, scores_of(5), torch.tensor([0, 1, 0, 0, 1]))


def test_towards_one_the_weights_are_those_of_inverse_counts():
    loss = get_loss("class_balanced", beta=1 - 1e-9, class_counts=[300, 100])
    scores, targets = torch.zeros(4, dtype=torch.float64), torch.tensor([1, 1, 1, 1])
    assert loss(scores, targets).item() == pytest.approx(1.5 * np.log(2), rel=1e-5)


@pytest.mark.parametrize("name", ["class_balanced", "logit_adjusted"])
def test_what_has_no_class_counts_is_refused(name):
    with pytest.raises(ConfigError, match=f"class_counts of {name} must have shape"):
        get_loss(name, class_counts=[1, 2])(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match=f"{name} is for binary and multiclass targets; these are multilabel"):
        get_loss(name)(torch.zeros(2, 3), torch.zeros(2, 3))
