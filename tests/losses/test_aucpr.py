"""The Lagrangian of AUCPR beside a twin, and its prices at work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, by_differences, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.pairwise.aucpr import Aucpr
from metricopt.metrics import get_metric

ANCHORS = 4
BIAS, PRICE = np.array([0.3, 0.0, -0.4, -1.0]), np.array([0.5, 1.5, 0.0, -2.0])


def twin(surrogate, lowest=0.0, prior=None):
    if surrogate == "logistic":
        loss, unit = lambda x: np.log(1 + np.exp(-x)), np.log(2)
    else:
        loss, unit = lambda x: max(0.0, 1 - x), 1.0

    @by_differences
    def value(scores, targets):
        columns = scores.reshape(len(scores), -1), targets.reshape(len(targets), -1)
        total = []
        for z, t in zip(columns[0].T, columns[1].T, strict=True):
            share = t.mean() if prior is None else prior
            for k in range(ANCHORS):
                precision = lowest + (1 - lowest) * (k + 1) / (ANCHORS + 1)
                price = max(PRICE[k], 0.0)
                cost = [
                    (1 + price * (1 - precision)) * loss(x + BIAS[k]) if y else price * precision * loss(-x - BIAS[k])
                    for x, y in zip(z, t, strict=True)
                ]
                total.append(np.mean(cost) - price * (1 - precision) * share * unit)
        return float(np.mean(total))

    return value


def made(columns=1, **options):
    loss = Aucpr(anchors=ANCHORS, columns=columns, **options).double()
    with torch.no_grad():
        loss.bias.copy_(torch.tensor(BIAS)[:, None].expand(-1, columns))
        loss.price.copy_(torch.tensor(PRICE)[:, None].expand(-1, columns))
    return loss


@pytest.mark.parametrize("surrogate", ["logistic", "hinge"])
@pytest.mark.parametrize(("lowest", "prior"), [(0.0, None), (0.5, 0.2)])
def test_the_lagrangian_in_numbers(surrogate, lowest, prior):
    options = {"surrogate": surrogate, "lowest": lowest, "priors": prior}
    for scores, targets in binary_batches(ties=False):
        assert_equal(made(**options), twin(surrogate, lowest, prior), scores, targets)
    for columns in (1, 3):
        assert_equal(made(columns, **options), twin(surrogate, lowest, prior), *multilabel_batch())


def test_prices_rise_where_precision_is_missed_and_fall_where_it_is_kept():
    targets = torch.tensor([1, 0, 0, 0])
    for scores, rises in ((torch.zeros(4), True), (20.0 * targets - 10, False)):
        loss = Aucpr(anchors=3, dual_rate=0.5)
        loss(scores, targets).backward()
        assert ((loss.price.grad < 0) == rises).all()  # an optimiser steps against the gradient
        steep = Aucpr(anchors=3, dual_rate=1.0)
        steep(scores, targets).backward()
        torch.testing.assert_close(steep.price.grad, 2 * loss.price.grad)


def test_training_raises_average_precision():
    random = generator(2, "train")
    features = torch.randn(400, 8, generator=random)
    targets = (features[:, 0] + torch.randn(400, generator=random) > 2).long()
    weights = torch.zeros(8, requires_grad=True)
    loss = Aucpr()
    optimizer = torch.optim.Adam([weights, *loss.parameters()], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss(features @ weights, targets).backward()
        optimizer.step()
    best = get_metric("average_precision")(features[:, 0], targets)
    assert get_metric("average_precision")((features @ weights).detach(), targets) > best - 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priors": 1.0}, "priors must lie between 0 and 1"),
        ({"surrogate": "exp"}, "surrogate must be one of"),
        ({"anchors": 0}, "anchors must be"),
        ({"lowest": 1.0}, "lowest must be"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Aucpr(**options)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ConfigError, match="variables for 2 columns, these targets have 3"):
        Aucpr(columns=2)(*multilabel_batch())
