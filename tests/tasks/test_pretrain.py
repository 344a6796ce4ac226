"""Pre-training: mini-batches of both samplers, what is learned, and what is left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import ConfigError, DataError
from metricopt._perceptron import perceptron
from metricopt.tasks import Pretraining, pretrain
from metricopt.tasks.pretrain import _batches

RECIPE = Pretraining(epochs=3, batch_size=16, learning_rate=1e-2)


def rows(count: int = 400) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, generator=source)
    return x, (x[:, 0] + x[:, 1] > 1).float()


def net(seed: int = 0) -> nn.Sequential:
    source = torch.Generator().manual_seed(seed)
    return perceptron((3, 8, 1), activation=nn.LeakyReLU, norm=True, dropout=0.1, generator=source)


def batches(y: Tensor, sampler: str, recipe: Pretraining = RECIPE) -> list[Tensor]:
    return list(_batches(y, recipe, sampler, torch.Generator().manual_seed(0)))


def test_it_learns_and_ends_in_evaluation_mode() -> None:
    x, y = rows()
    model = pretrain(
        net(), x, y, recipe=Pretraining(epochs=20, batch_size=16, learning_rate=1e-2), sampler="plain", seed=0
    )
    assert not model.training
    wrong = float(((model(x).flatten() > 0).float() != y).float().mean())
    assert wrong < 0.06  # always saying 0 is wrong in about 24 of 100


def test_the_balanced_sampler_moves_the_border_towards_the_rarer_class() -> None:
    x, y = rows()
    shares = {}
    for sampler in ("plain", "balanced"):
        model = pretrain(net(), x, y, recipe=RECIPE, sampler=sampler, seed=0)
        shares[sampler] = float((model(x) > 0).float().mean())
    assert shares["balanced"] > shares["plain"] + 0.02


@pytest.mark.parametrize("sampler", ["plain", "balanced"])
def test_equal_seeds_give_equal_weights_and_the_global_state_stays(sampler: str) -> None:
    x, y = rows()
    states = []
    for seed, elsewhere in ((1, 10), (1, 20), (2, 10)):
        torch.manual_seed(elsewhere)
        before = torch.random.get_rng_state()
        states.append(pretrain(net(), x, y, recipe=RECIPE, sampler=sampler, seed=seed).state_dict())
        assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["0.weight"], states[2]["0.weight"])


def test_a_plain_epoch_takes_no_row_twice() -> None:
    _, y = rows()
    drawn = batches(y, "plain")
    assert [len(batch) for batch in drawn] == [16] * (3 * 25)
    for epoch in range(3):
        assert torch.cat(drawn[25 * epoch : 25 * (epoch + 1)]).sort().values.tolist() == list(range(400))
    assert not torch.equal(drawn[0], drawn[25])


@pytest.mark.parametrize("flip", [False, True])
def test_a_balanced_batch_is_half_of_each_class(flip: bool) -> None:
    y = 1 - rows()[1] if flip else rows()[1]
    commoner = float(flip)
    drawn = batches(y, "balanced")
    assert [len(batch) for batch in drawn] == [16] * (3 * 25)
    assert all(int(y[batch].sum()) == 8 for batch in drawn)
    epoch = torch.cat(drawn[:25])
    common = epoch[y[epoch] == commoner]
    assert len(common.unique()) == len(common) == 200
    rare = epoch[y[epoch] != commoner]
    assert len(rare.unique()) < len(rare) == 200


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    _, y = rows(10)
    assert [len(batch) for batch in batches(y, "plain", Pretraining(epochs=2))] == [10, 10]


def test_one_class_cannot_be_balanced() -> None:
    x, _ = rows()
    with pytest.raises(DataError, match="rows of both classes, one of them has none; use sampler='plain'"):
        pretrain(net(), x, torch.zeros(400), recipe=RECIPE, sampler="balanced", seed=0)


def test_too_few_rows_and_unknown_samplers_are_errors() -> None:
    x, y = rows()
    with pytest.raises(DataError, match="at least 4 rows, got 3"):
        pretrain(net(), x[:3], y[:3], recipe=RECIPE, sampler="plain", seed=0)
    with pytest.raises(ConfigError, match="sampler must be one of plain, balanced; got 'fair'"):
        pretrain(net(), x, y, recipe=RECIPE, sampler="fair", seed=0)


@pytest.mark.parametrize("field", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"dropout": 1.0}])
def test_a_recipe_is_checked_when_it_is_made(field: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(field))):
        Pretraining(**field)  # type: ignore[arg-type]
