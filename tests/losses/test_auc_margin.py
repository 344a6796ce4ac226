"""AUC-margin beside a twin, and the game that it plays: three numbers that any optimiser can move."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loss_twin import assert_equal, binary_batches, by_differences, column_mean, multilabel_batch
from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.losses.pairwise.auc_margin import AucMargin

A, B, ALPHA = 0.8, 0.3, 0.5


@by_differences
def twin(scores, targets):
    high = 1 / (1 + np.exp(-scores))
    positives, negatives = high[targets == 1], high[targets == 0]
    if len(positives) == 0 or len(negatives) == 0:
        return 0.0
    value = ((positives - A) ** 2).mean() + ((negatives - B) ** 2).mean()
    return value + 2 * ALPHA * (0.7 + negatives.mean() - positives.mean()) - ALPHA**2


def made(columns=1):
    loss = AucMargin(margin=0.7, columns=columns).double()
    with torch.no_grad():
        for parameter, value in ((loss.a, A), (loss.b, B), (loss.alpha, ALPHA)):
            parameter.fill_(value)
    return loss


@pytest.mark.parametrize("columns", [1, 3])
def test_the_game_in_numbers(columns):
    if columns == 1:
        for scores, targets in binary_batches():
            assert_equal(made(), twin, scores, targets)
    assert_equal(made(columns), column_mean(twin, lambda t: 0 < t.mean() < 1), *multilabel_batch())


def test_descent_finds_the_saddle():
    random = generator(1, "saddle")
    scores, targets = torch.randn(60, generator=random), torch.arange(60) % 3 == 0
    loss = AucMargin(margin=0.7)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        loss(scores, targets).backward()
        optimizer.step()
    high = scores.sigmoid()
    above, below = high[targets].mean(), high[~targets].mean()
    for parameter, value in ((loss.a, above), (loss.b, below), (loss.alpha, 0.7 + below - above)):
        torch.testing.assert_close(parameter.detach(), value[None], atol=1e-4, rtol=0)


def test_alpha_rests_at_zero_where_the_margin_is_kept_and_returns():
    loss = AucMargin(margin=0.5)
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.2)
    targets = torch.tensor([1, 0])
    for scores, steps, expected in (([9.0, -9.0], 60, 0.0), ([0.0, 0.0], 60, 0.5)):
        for _ in range(steps):
            optimizer.zero_grad()
            loss(torch.tensor(scores), targets).backward()
            optimizer.step()
        assert float(loss.alpha.detach().clamp(min=0)) == pytest.approx(expected, abs=1e-3)


def test_another_number_of_columns_is_refused():
    with pytest.raises(ConfigError, match="variables for 2 columns, these targets have 3; make it with columns=3"):
        AucMargin(columns=2)(*multilabel_batch())
