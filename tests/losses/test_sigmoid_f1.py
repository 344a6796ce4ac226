"""Sigmoid-F1 against the paper's pseudocode, with the sign of its slope set right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import get_loss
from numpy_twin import assert_equals_twin, sigmoid


def scores_of(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=generator(0, "sigmoid f1"), dtype=torch.float64)


def f1(z, t, slope, offset):
    tp = fp = fn = 0
    for x, y in zip(z, t, strict=True):
        s = sigmoid(slope * (x + offset))
        tp, fp, fn = tp + s * y, fp + s * (1 - y), fn + (1 - s) * y
    return 2 * tp / (2 * tp + fn + fp + 1e-16)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (30.0, -0.1), (9.0, 0.4)])
def test_every_kind_equals_the_twin(slope, offset):
    loss = get_loss("sigmoid_f1", slope=slope, offset=offset)

    def twin(z, t):
        z, t = z.reshape(len(z), -1), t.reshape(len(t), -1)
        return 1 - np.mean([f1(z[:, c], t[:, c], slope, offset) for c in range(z.shape[1])])

    assert_equals_twin(loss, twin, scores_of(6), torch.tensor([0, 1, 1, 0, 0, 1]))
    assert_equals_twin(
        loss, twin, scores_of(5, 3), torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]])
    )
    assert_equals_twin(
        loss, lambda z, t: twin(z, np.eye(3, dtype=int)[t]), scores_of(5, 3), torch.tensor([0, 1, 2, 1, 1])
    )


def test_with_slope_one_it_is_soft_f1():
    scores, targets = scores_of(8), torch.tensor([0, 1, 1, 0, 0, 1, 1, 0])
    torch.testing.assert_close(
        get_loss("sigmoid_f1")(scores, targets), get_loss("soft_f_beta")(scores, targets), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("options", [{"slope": -1.0}, {"offset": float("nan")}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError):
        get_loss("sigmoid_f1", **options)(torch.zeros(2), torch.tensor([0, 1]))
