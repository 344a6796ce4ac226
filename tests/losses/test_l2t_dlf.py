"""The bilinear loss of L2T-DLF beside a twin with loops, cross-entropy at its start, and set by a teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy
from metricopt.losses.parametric.ala import Ala
from metricopt.losses.parametric.l2t_dlf import L2tDlf
from numpy_twin import assert_equals_twin, sigmoid, softmax

RANDOM = generator(32, "l2t_dlf")
WEIGHT = torch.randn(3, 3, generator=RANDOM, dtype=torch.float64)
BIAS = torch.randn(3, generator=RANDOM, dtype=torch.float64)
SCORES = 2 * torch.randn(10, 3, generator=RANDOM, dtype=torch.float64)
BATCHES = [
    (SCORES, torch.randint(3, (10,), generator=RANDOM)),
    (SCORES, torch.full((10,), 1)),
    (SCORES.round(), torch.arange(10) % 3),
    (SCORES[:1], torch.tensor([2])),
]


def twin(link):
    def value(scores, targets):
        total = 0.0
        for row, label in zip(scores, targets, strict=True):
            y = np.eye(3)[label]
            inner = -np.log(softmax(row)) @ WEIGHT.numpy() @ y + BIAS.numpy() @ y
            total += sigmoid(inner) if link == "sigmoid" else inner
        return total / len(targets)

    return value


def family(link, weight=WEIGHT, bias=BIAS):
    loss = L2tDlf(classes=3, link=link).double()
    loss.weight.copy_(weight)
    loss.bias.copy_(bias)
    return loss


@pytest.mark.parametrize("link", ["identity", "sigmoid"])
@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_formula_of_the_paper(link, scores, targets):
    assert_equals_twin(family(link), twin(link), scores, targets)


@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_start_is_cross_entropy(scores, targets):
    loss = L2tDlf(classes=3)
    torch.testing.assert_close(loss(scores, targets), cross_entropy(scores, targets))
    torch.testing.assert_close(grad(loss)(scores, targets), grad(cross_entropy)(scores, targets))


def test_without_offsets_it_is_the_loss_of_ala_and_one():
    ala = Ala(classes=3, link="sigmoid").double()
    ala.phi.copy_(WEIGHT.T)
    loss = family("sigmoid", bias=torch.zeros(3))
    for batch in BATCHES:
        torch.testing.assert_close(loss(*batch), 1 + ala(*batch))


def test_a_gradient_reaches_the_teacher():
    loss, teacher = L2tDlf(classes=3, link="sigmoid"), torch.nn.Linear(2, 12).double()
    states = torch.randn(4, 2, generator=RANDOM, dtype=torch.float64)
    taught = teacher(states)

    def value(output):
        return functional_call(loss, {"weight": output[:9].reshape(3, 3), "bias": output[9:]}, BATCHES[0])

    together = vmap(value)(taught)
    torch.testing.assert_close(together, torch.stack([value(output) for output in taught]))
    together.sum().backward()
    assert teacher.weight.grad.abs().sum() > 0
    assert torch.equal(loss.weight, torch.eye(3)) and not list(loss.parameters())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="l2t_dlf was made for one of 3 classes; the scores are binary"):
        L2tDlf(classes=3)(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ConfigError, match="link must be one of identity, sigmoid; got 'tanh'"):
        L2tDlf(classes=3, link="tanh")
