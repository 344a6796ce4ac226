"""Focal loss against Eq. 5 of Lin et al."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, sigmoid, softmax


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "focal"), dtype=torch.float64)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_binary_and_labels_equal_the_twin(gamma, alpha):
    def of_one(x, y):
        p = sigmoid(x)
        right, weight = (p, alpha) if y else (1 - p, None if alpha is None else 1 - alpha)
        return -(1 if alpha is None else weight) * (1 - right) ** gamma * np.log(right)

    def twin(z, t):
        return np.mean([of_one(x, y) for x, y in zip(z.ravel(), t.ravel(), strict=True)])

    loss = get_loss("focal", gamma=gamma, alpha=alpha)
    assert_equals_twin(loss, twin, scores_of(7), torch.tensor([0, 1, 1, 0, 0, 1, 0]))
    assert_equals_twin(loss, twin, scores_of(4, 3), torch.tensor([[0, 1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 1]]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, [0.2, 1.0, 3.0]])
def test_classes_equal_the_twin(gamma, alpha):
    def twin(z, t):
        probabilities = [softmax(row)[y] for row, y in zip(z, t, strict=True)]
        weights = [1.0 if alpha is None else alpha[y] for y in t]
        return np.mean([-w * (1 - p) ** gamma * np.log(p) for w, p in zip(weights, probabilities, strict=True)])

    assert_equals_twin(
        get_loss("focal", gamma=gamma, alpha=alpha), twin, scores_of(5, 3), torch.tensor([0, 1, 2, 1, 1])
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_what_is_surely_right_has_a_finite_slope(gamma):
    for scores, targets in ((torch.tensor([300.0]), [1]), (torch.tensor([[300.0, 0.0, -300.0]]), [0])):
        scores = scores.requires_grad_()
        get_loss("focal", gamma=gamma)(scores, torch.tensor(targets)).backward()
        assert scores.grad.abs().max() < 1e-6


def test_a_confident_mistake_keeps_the_gradient_of_cross_entropy():
    scores = torch.tensor([100.0], requires_grad=True)
    get_loss("focal")(scores, torch.tensor([0])).backward()
    assert scores.grad.item() == pytest.approx(1.0)


@pytest.mark.parametrize("alpha", [[0.5, 0.5], [0.1, 0.2, 0.3, 0.4]])
def test_weights_of_the_wrong_length_are_refused(alpha):
    with pytest.raises(ConfigError, match="alpha must have one weight for each of the 3 classes"):
        get_loss("focal", alpha=alpha)(torch.zeros(2, 3), torch.tensor([0, 1]))
