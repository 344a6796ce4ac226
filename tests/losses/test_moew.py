"""Example-weighted cross-entropy beside a twin with loops, cross-entropy at its start, and under control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy
from metricopt.losses.parametric.moew import Moew
from numpy_twin import assert_equals_twin, sigmoid, softmax, softplus

RANDOM = generator(33, "moew")
ALPHA = torch.randn(3, generator=RANDOM, dtype=torch.float64)
SCORES = 2 * torch.randn(10, 3, generator=RANDOM, dtype=torch.float64)
CODES = torch.randn(10, 3, generator=RANDOM, dtype=torch.float64)
BATCHES = [
    (SCORES[:, 0], torch.randint(2, (10,), generator=RANDOM)),
    (SCORES[:, :1], torch.ones(10, 1)),
    (SCORES, torch.arange(10) % 3),
    (SCORES.round(), torch.full((10,), 2)),
    (SCORES, torch.randint(2, (10, 3), generator=RANDOM)),
    (SCORES[:1], torch.tensor([1])),
]


def each(scores, targets):
    """Cross-entropy and default embedding of each example."""
    if scores.ndim == 2 and scores.shape[1] > 1 and targets.ndim == 1:
        return [-np.log(softmax(z)[int(y)]) for z, y in zip(scores, targets, strict=True)], np.eye(3)[
            targets.astype(int)
        ]
    if scores.ndim == 2 and scores.shape[1] > 1:
        rows = zip(scores, targets, strict=True)
        return [np.mean([softplus(-a if b else a) for a, b in zip(z, y, strict=True)]) for z, y in rows], targets
    pairs = list(zip(scores.reshape(-1), targets.reshape(-1), strict=True))
    return [softplus(-z if y else z) for z, y in pairs], np.eye(3)[[int(y) for _, y in pairs]]


def twin(codes=None):
    def value(scores, targets):
        losses, own = each(scores, targets)
        weights = [sigmoid(ALPHA.numpy() @ z).real for z in (own if codes is None else codes)]
        return sum(w / np.mean(weights) * loss for w, loss in zip(weights, losses, strict=True)) / len(losses)

    return value


def family(alpha=ALPHA):
    loss = Moew(size=len(alpha)).double()
    loss.alpha.copy_(alpha)
    return loss


@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_formula_of_the_paper(scores, targets):
    assert_equals_twin(family(), twin(), scores, targets)
    codes = CODES[: len(scores)]
    assert_equals_twin(lambda s, t: family()(s, t, codes), twin(codes.numpy()), scores, targets)


@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_start_is_cross_entropy(scores, targets):
    loss = Moew(size=3)
    torch.testing.assert_close(loss(scores, targets), cross_entropy(scores, targets))
    torch.testing.assert_close(grad(loss)(scores, targets), grad(cross_entropy)(scores, targets))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_all_round_to_zero_still_add_up(dtype):
    alpha = torch.tensor([-1000.0, -1001.0, -1000.0])
    scores, targets = torch.zeros(4, 3, dtype=dtype).requires_grad_(), torch.tensor([0, 1, 2, 0])
    value = family(alpha).float()(scores, targets)
    value.backward()
    assert float(value.detach()) == pytest.approx(np.log(3), rel=1e-6) and torch.isfinite(scores.grad).all()


def test_a_population_of_controllers():
    loss, (scores, targets) = Moew(size=3), BATCHES[2]
    alphas = torch.randn(4, 3, generator=RANDOM, dtype=torch.float64)

    def value(alpha):
        return functional_call(loss, {"alpha": alpha}, (scores, targets, CODES))

    for function in (value, grad(value)):
        torch.testing.assert_close(vmap(function)(alphas), torch.stack([function(alpha) for alpha in alphas]))
    assert grad(value)(alphas[0]).abs().sum() > 0
    assert torch.equal(loss.alpha, torch.zeros(3)) and not list(loss.parameters())


def test_embeddings_of_another_size_are_refused():
    for batch in [(SCORES, torch.zeros(10), CODES[:, :2]), (SCORES[:, :2], torch.zeros(10))]:
        with pytest.raises(ConfigError, match=r"moew was made for embeddings of size 3, got shape \(10, 2\)"):
            Moew(size=3)(*batch)
    with pytest.raises(ConfigError, match=r"moew was made for embeddings of size 1, got shape \(10, 2\)"):
        Moew(size=1)(SCORES[:, 0], torch.zeros(10))
