"""The set-wise surrogate beside a twin with loops, cross-entropy at its start, and fitted to a metric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses import cross_entropy
from metricopt.losses.parametric.learned_surrogate import LearnedSurrogate
from metricopt.metrics import get_metric
from numpy_twin import assert_equals_twin, sigmoid, softmax, softplus

RANDOM = generator(34, "learned surrogate")
SCORES = 2 * torch.randn(9, 3, generator=RANDOM, dtype=torch.float64)
BATCHES = [
    (SCORES[:, 0], torch.randint(2, (9,), generator=RANDOM)),
    (SCORES[:, 0].round(), torch.zeros(9)),
    (SCORES, torch.arange(9) % 3),
    (SCORES, torch.randint(2, (9, 3), generator=RANDOM)),
    (SCORES[:1], torch.tensor([1])),
]


def network(layers, x):
    """Linear, SiLU, linear with the weights of a list of layers."""
    first, last = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]
    hidden = [h * sigmoid(h) for h in first[0] @ x + first[1]]
    return last[0] @ np.array(hidden) + last[1]


def twin(loss):
    def value(scores, targets):
        if scores.ndim == 2 and targets.ndim == 1:
            p = np.array([softmax(row) for row in scores])
            truth = np.eye(scores.shape[1])[targets.astype(int)]
            entropy = -np.mean([np.log(p[i, int(y)]) for i, y in enumerate(targets)])
        else:
            columns = scores.reshape(len(scores), -1)
            p = np.vectorize(sigmoid, otypes=[complex])(columns)
            truth = targets.reshape(columns.shape)
            pairs = zip(columns.flat, truth.flat, strict=True)
            entropy = np.mean([softplus(-z if y else z) for z, y in pairs])
        learned = []
        for c in range(p.shape[1]):
            mean = sum(network(loss.each, np.array([truth[i, c], p[i, c]])) for i in range(len(p))) / len(p)
            learned.append(network(loss.whole, mean)[0])
        share = 0.0 if loss.share is None else loss.share.item()
        return share * entropy + np.mean(learned)

    return value


def drawn(residual):
    """Every parameter random, the last layer and the share too."""
    loss = LearnedSurrogate(width=5, residual=residual, generator=generator(1, "surrogate")).double()
    for parameter in loss.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=RANDOM, dtype=torch.float64))
    return loss


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_formula_of_the_paper(residual, scores, targets):
    loss = drawn(residual)
    assert_equals_twin(loss, twin(loss), scores, targets)


@pytest.mark.parametrize(("scores", "targets"), BATCHES)
def test_the_start_is_cross_entropy(scores, targets):
    loss = LearnedSurrogate()
    torch.testing.assert_close(loss(scores, targets), cross_entropy(scores, targets))
    torch.testing.assert_close(grad(loss)(scores, targets), grad(cross_entropy)(scores, targets))


def test_the_value_is_that_of_a_set():
    loss, (scores, targets) = drawn(residual=False), BATCHES[0]
    value = loss(scores, targets)
    torch.testing.assert_close(loss(scores.flip(0), targets.flip(0)), value)
    torch.testing.assert_close(loss(torch.cat([scores, scores]), torch.cat([targets, targets])), value)
    apart = torch.stack([loss(scores[i : i + 1], targets[i : i + 1]) for i in range(9)])
    assert (apart.mean() - value).abs() > 1e-3  # no mean over examples


@pytest.mark.parametrize("residual", [True, False])
def test_it_can_be_fitted_to_a_metric_that_is_no_mean(residual):
    random, metric = generator(2, "fit"), get_metric("f1")
    batches = []
    for _ in range(60):
        scores, cut = torch.randn(40, generator=random), torch.randn(1, generator=random)
        targets = (scores + torch.rand(1, generator=random) * torch.randn(40, generator=random) > cut).long()
        batches.append((scores, targets, 1 - metric(scores, targets)))
    scores, targets, errors = (torch.stack([torch.as_tensor(b[i]) for b in batches]) for i in range(3))
    loss = LearnedSurrogate(width=16, residual=residual)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)

    def distance():
        return (vmap(loss)(scores, targets) - errors).abs().mean()

    for _ in range(200):
        optimizer.zero_grad()
        distance().backward()
        optimizer.step()
    spread = float((errors - errors.median()).abs().mean())  # what the best constant leaves
    assert spread > 0.1 and float(distance().detach()) < 0.4 * spread


def test_a_population_of_controllers():
    losses, (scores, targets) = [drawn(residual=True) for _ in range(3)], BATCHES[0]
    stacked = {name: torch.stack([loss.state_dict()[name] for loss in losses]) for name in losses[0].state_dict()}

    def value(parameters):
        return functional_call(losses[0], parameters, (scores, targets))

    torch.testing.assert_close(vmap(value)(stacked), torch.stack([loss(scores, targets).detach() for loss in losses]))
    slopes = grad(value)({name: stack[0] for name, stack in stacked.items()})
    assert all(slope.abs().sum() > 0 for slope in slopes.values())


def test_a_width_of_zero_is_refused():
    with pytest.raises(ConfigError, match="width must be an integer of at least 1, got 0"):
        LearnedSurrogate(width=0)
