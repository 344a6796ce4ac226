"""Label smoothing and its sparse form against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, sigmoid, softmax

CLASSES = torch.tensor([0, 2, 1, 1, 0])


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "smoothing"), dtype=torch.float64)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_label_smoothing_equals_the_twin(share):
    def of_classes(z, t):
        truth = (1 - share) * np.eye(z.shape[1])[t] + share / z.shape[1]
        return np.mean([-(q * np.log(softmax(row))).sum() for row, q in zip(z, truth, strict=True)])

    def of_two(z, t):
        truth = (1 - share) * t + share / 2
        return np.mean(
            [-(q * np.log(sigmoid(x)) + (1 - q) * np.log(sigmoid(-x))) for x, q in zip(z, truth, strict=True)]
        )

    loss = get_loss("label_smoothing", share=share)
    assert_equals_twin(loss, of_classes, scores_of(5, 3), CLASSES)
    assert_equals_twin(loss, of_two, scores_of(4), torch.tensor([0, 1, 1, 0]))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_the_sparse_form_equals_the_twin(share):
    def twin(z, t):
        count, p = z.shape[1], [softmax(row)[y] for row, y in zip(z, t, strict=True)]
        return np.mean(
            [
                -(1 - share + share / count) * np.log(q) - share * (count - 1) / count * np.log((1 - q) / (count - 1))
                for q in p
            ]
        )

    assert_equals_twin(get_loss("sparse_label_smoothing", share=share), twin, scores_of(5, 3), CLASSES)


def test_both_are_one_where_the_other_classes_are_equally_likely():
    scores = torch.tensor([[1.3, 0.2, 0.2], [-0.4, 2.0, -0.4]], dtype=torch.float64)
    both = [
        get_loss(name, share=0.2)(scores, torch.tensor([0, 1]))
        for name in ("label_smoothing", "sparse_label_smoothing")
    ]
    torch.testing.assert_close(*both)


def test_a_share_outside_its_range_is_refused():
    for name in ("label_smoothing", "sparse_label_smoothing"):
        with pytest.raises(ConfigError, match="share must be at least 0 and below 1"):
            get_loss(name, share=1.0)(torch.zeros(2), torch.tensor([0, 1]))
