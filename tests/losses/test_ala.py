"""The class-confusion loss of ALA beside a twin with loops, cross-entropy at its start, and under control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy
from metricopt.losses.parametric.ala import Ala
from numpy_twin import assert_equals_twin, sigmoid, softmax

RANDOM = generator(31, "ala")
PHI = 2 * torch.rand(4, 4, generator=RANDOM, dtype=torch.float64) - 1
SCORES = 2 * torch.randn(11, 4, generator=RANDOM, dtype=torch.float64)
BATCHES = [
    (SCORES, torch.randint(4, (11,), generator=RANDOM)),
    (SCORES, torch.full((11,), 2)),
    (SCORES.round(), torch.arange(11) % 4),
    (SCORES[:1], torch.tensor([3])),
]


def twin(phi, link):
    def value(scores, targets):
        total = 0.0
        for row, y in zip(scores, targets, strict=True):
            p = softmax(row)
            inner = sum(phi[y, c] * np.log(p[c]) for c in range(len(p)))
            total -= sigmoid(inner) if link == "sigmoid" else inner
        return total / len(targets)

    return value


def family(phi, link):
    loss = Ala(classes=len(phi), link=link).double()
    loss.phi.copy_(phi)
    return loss


@pytest.mark.parametrize("link", ["identity", "sigmoid"])
@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_formula_of_the_paper(link, scores, targets):
    assert_equals_twin(family(PHI, link), twin(PHI.numpy(), link), scores, targets)


@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_start_is_cross_entropy(scores, targets):
    loss = Ala(classes=4)
    torch.testing.assert_close(loss(scores, targets), cross_entropy(scores, targets))
    torch.testing.assert_close(grad(loss)(scores, targets), grad(cross_entropy)(scores, targets))
    binary = SCORES[:, 0], torch.arange(11) % 2
    torch.testing.assert_close(Ala(classes=2)(*binary), cross_entropy(*binary))


def test_the_sigmoid_bounds_what_the_identity_does_not():
    phi = torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    scores, targets = torch.tensor([[300.0, 0.0]]), torch.tensor([0])
    assert float(family(phi, "identity")(scores, targets)) == -300
    assert -1 <= float(family(phi, "sigmoid")(scores, targets)) <= 0


def test_a_population_of_controllers():
    loss, (scores, targets) = Ala(classes=4, link="sigmoid"), BATCHES[0]
    phis = torch.rand(3, 4, 4, generator=RANDOM, dtype=torch.float64)

    def value(phi):
        return functional_call(loss, {"phi": phi}, (scores, targets))

    for function in (value, grad(value)):
        torch.testing.assert_close(vmap(function)(phis), torch.stack([function(phi) for phi in phis]))
    assert grad(value)(phis[0]).abs().sum() > 0
    assert torch.equal(loss.phi, torch.eye(4)) and not list(loss.parameters())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"ala was made for one of 4 classes; the scores are multiclass, of shape"):
        Ala(classes=4)(torch.zeros(2, 3), torch.zeros(2))
    with pytest.raises(ConfigError, match="the scores are multilabel"):
        Ala(classes=3)(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="link must be one of identity, sigmoid; got 'tanh'"):
        Ala(classes=3, link="tanh")
    with pytest.raises(ConfigError, match="classes must be an integer of at least 2, got 1"):
        Ala(classes=1)
