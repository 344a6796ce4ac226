"""Large-margin softmax beside a twin with an arccosine, its schedule, and the linear layer that remains."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy
from metricopt.losses.parametric.large_margin_softmax import LargeMarginSoftmax
from numpy_twin import assert_equals_twin, softmax

RANDOM = generator(35, "large-margin softmax")
WEIGHT = torch.randn(3, 4, generator=RANDOM, dtype=torch.float64)
EMBEDDINGS = 2 * torch.randn(12, 4, generator=RANDOM, dtype=torch.float64)
BATCHES = [
    (EMBEDDINGS, torch.randint(3, (12,), generator=RANDOM)),
    (EMBEDDINGS, torch.full((12,), 2)),
    (EMBEDDINGS.round(), torch.arange(12) % 3),
    (EMBEDDINGS[:1], torch.tensor([1])),
]


def twin(embeddings, targets, weight, margin, beta):
    total = 0.0
    for x, y in zip(embeddings, targets, strict=True):
        logits = weight @ x
        size = np.sqrt(weight[y] @ weight[y]) * np.sqrt(x @ x)
        angle = np.arccos(logits[y] / size)
        k = np.floor(margin * angle.real / np.pi)
        psi = (-1) ** k * np.cos(margin * angle) - 2 * k
        logits[y] = (beta * size * np.cos(angle) + size * psi) / (1 + beta)
        total -= np.log(softmax(logits)[y])
    return total / len(targets)


def head(margin=4, **options):
    loss = LargeMarginSoftmax(features=4, classes=3, margin=margin, **options).double()
    loss.weight.data.copy_(WEIGHT)
    return loss


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("beta", [0.0, 0.5, 100.0])
def test_the_formula_of_the_paper(margin, beta):
    loss = head(margin, beta=beta, decay=1.0)
    for x, targets in BATCHES:
        assert_equals_twin(loss, lambda a, b: twin(a, b, WEIGHT.numpy().astype(complex), margin, beta), x, targets)
        assert_equals_twin(
            lambda w, t, x=x: functional_call(loss, {"weight": w}, (x, t)),
            lambda w, t, x=x: twin(x.numpy().astype(complex), t, w, margin, beta),
            WEIGHT,
            targets,
        )


@pytest.mark.parametrize(("x", "targets"), BATCHES)
def test_evaluation_and_margin_one_are_the_plain_linear_layer(x, targets):
    plain = cross_entropy(x @ WEIGHT.T, targets)
    for loss in (head(beta=0.0).eval(), head(margin=1, beta=3.0)):
        torch.testing.assert_close(loss(x, targets), plain)
        torch.testing.assert_close(loss.logits(x), x @ WEIGHT.T)
    assert head(beta=0.0)(x, targets) > plain


def test_the_margin_grows_from_batch_to_batch_and_survives_saving():
    loss, batch = head(beta=8.0, decay=0.5, beta_min=1.5), BATCHES[0]
    values, betas = [], []
    for _ in range(5):
        betas.append(float(loss.beta))
        values.append(float(loss(*batch).detach()))
    assert betas == [8, 4, 2, 1.5, 1.5] and values[0] < values[1] < values[2] < values[3] == values[4]
    loss.eval()(*batch)
    assert int(loss.steps) == 5
    fresh = head(beta=8.0, decay=0.5)
    fresh.load_state_dict(deepcopy(loss.state_dict()))
    assert float(fresh.beta) == 0.25


def test_directions_where_the_arccosine_has_no_slope():
    for x in (WEIGHT.clone(), -WEIGHT, torch.zeros(3, 4), 1e-30 * WEIGHT):
        leaf = x.float().requires_grad_()
        loss = LargeMarginSoftmax(features=4, classes=3, beta=0.0)
        loss.weight.data.copy_(WEIGHT)
        value = loss(leaf, torch.arange(3))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(leaf.grad).all() and torch.isfinite(loss.weight.grad).all()


def test_training_mode_under_functional_transforms():
    loss, (x, targets) = head(decay=1.0, beta=1.0), BATCHES[0]
    population = torch.stack([x, -x, x.flip(0)])
    for function in (loss, grad(loss)):
        together = vmap(function, in_dims=(0, None))(population, targets)
        torch.testing.assert_close(together, torch.stack([function(each, targets) for each in population]))


def test_a_few_steps_separate_classes_by_more_than_plain_softmax():
    random = generator(3, "train")
    targets = torch.arange(60) % 3
    x = torch.eye(4)[targets] + 0.4 * torch.randn(60, 4, generator=random)
    sizes = {}
    for margin in (1, 4):
        loss = LargeMarginSoftmax(features=4, classes=3, margin=margin, decay=0.9)
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            loss(x, targets).backward()
            optimizer.step()
        with torch.no_grad():
            cosines = torch.nn.functional.normalize(loss.weight) @ torch.nn.functional.normalize(x).T
            assert (loss.logits(x).argmax(dim=1) == targets).float().mean() > 0.8
        sizes[margin] = float(cosines.T[torch.arange(60), targets].mean())
    assert sizes[4] > sizes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0}, "margin must be an integer of at least 1, got 0"),
        ({"beta": -1.0}, "beta must be a finite number of at least 0"),
        ({"decay": 0.0}, "decay must be above 0 and at most 1, got 0.0"),
        ({"classes": 1}, "classes must be an integer of at least 2, got 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        LargeMarginSoftmax(**{"features": 4, "classes": 3, **options})


def test_embeddings_of_another_size_are_refused():
    with pytest.raises(ConfigError, match="was made for embeddings of size 4, got 5"):
        head()(torch.zeros(2, 5), torch.zeros(2))
