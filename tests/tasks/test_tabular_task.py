"""The tabular task: what it hands out, its cache of trained networks, standardisation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from metricopt._errors import CheckpointError, ConfigError
from metricopt.tasks import Materials, Pretraining, TabularTask
from metricopt.tasks.disk_cache import entries_root
from metricopt.tasks.tabular import standardise

QUICK = Pretraining(epochs=1, batch_size=256)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own for every test."""
    monkeypatch.setenv("METRICOPT_CACHE", str(tmp_path))
    return entries_root() / "pretrained"


def task(**options: object) -> TabularTask:
    return TabularTask(**{"data": "synthetic", "recipe": QUICK, **options})  # type: ignore[arg-type]


def same_weights(first: Materials, second: Materials) -> bool:
    states = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_it_hands_out_a_trained_model_and_three_sets_of_rows() -> None:
    materials = task().build(0)
    assert not materials.model.training
    assert [len(rows.x) for rows in (materials.train, materials.val, materials.test)] == [2800, 400, 800]
    for rows in (materials.train, materials.val, materials.test):
        assert rows.y.shape == (len(rows.x),)
        assert rows.x.dtype == rows.y.dtype == torch.float32
    assert materials.model(materials.val.x).shape == (400, 1)


def test_a_row_of_results_says_what_the_task_was() -> None:
    row = task(sampler="plain", dim=8, adapters="paper").build(3).describe()
    assert row["task"] == "synthetic-plain"
    expected = {"seed": 3, "data": "synthetic", "sampler": "plain", "adapters": "paper", "dim": 8, "epochs": 1}
    assert {name: row[name] for name in expected} == expected
    assert (row["n_train"], row["n_val"], row["n_test"]) == (2800, 400, 800)
    assert json.loads(json.dumps(row)) == row


def test_the_default_recipe_separates_the_classes() -> None:
    materials = TabularTask(data="synthetic", sampler="plain").build(0)
    labels = (materials.model(materials.test.x).flatten() > 0).float()
    wrong = float((labels != materials.test.y).float().mean())
    assert wrong < 0.75 * float(materials.test.y.mean())  # always saying 0 is wrong as often as class 1 is there


def test_the_second_build_takes_the_network_from_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = task().build(0)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(TabularTask, "_train", lambda *arguments: pytest.fail("trained again"))
    second = task().build(0)
    assert same_weights(first, second)
    assert not second.model.training


def test_what_the_weights_do_not_depend_on_shares_the_entry(cache: Path) -> None:
    first, second = task(dim=4).build(0), task(dim=16, adapters="paper").build(0)
    assert same_weights(first, second)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "other", [{"sampler": "plain"}, {"recipe": Pretraining(epochs=2, batch_size=256)}, {"data": "breast_cancer"}]
)
def test_what_the_weights_depend_on_has_an_entry_of_its_own(cache: Path, other: dict[str, object]) -> None:
    task().build(0)
    task(**other).build(0)
    task().build(1)
    assert len(list(cache.iterdir())) == 3


def test_the_cache_can_be_switched_off(cache: Path) -> None:
    first = task().build(0, cache=False)
    assert not cache.exists()
    assert same_weights(first, task().build(0))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-4] + b"\0\0\0\1", lambda b: b"nothing"])
def test_a_damaged_entry_is_an_error_that_says_what_to_do(cache: Path, damage: object) -> None:
    task().build(0)
    (entry,) = cache.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CheckpointError, match="It is an entry of the cache: remove it, and it is made again"):
        task().build(0)


def test_an_entry_of_another_network_is_refused(cache: Path) -> None:
    task().build(0)
    (entry,) = cache.iterdir()
    task(data="breast_cancer").build(0)
    (other,) = set(cache.iterdir()) - {entry}
    entry.write_bytes(other.read_bytes())
    with pytest.raises(CheckpointError, match=r"'0.weight' should be \(100, 12\)"):
        task().build(0)


def test_both_samplers_see_the_same_rows() -> None:
    first, second = task(sampler="plain").build(5), task(sampler="balanced").build(5)
    assert torch.equal(first.test.x, second.test.x)
    assert not same_weights(first, second)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"data": "iris"}, "data must be one of a9a, covtype, breast_cancer, synthetic; got 'iris'"),
        ({"sampler": "fair"}, "sampler must be one of plain, balanced"),
        ({"adapters": "film"}, "adapters must be one of shifted, paper"),
        ({"dim": 0}, "dim must be an integer of at least 1"),
    ],
)
def test_a_task_is_checked_when_it_is_made(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        task(**options)


@given(seed=st.integers(0, 100), offset=st.sampled_from([0.0, 3000.0]))
def test_columns_are_standardised_by_the_training_rows(seed: int, offset: float) -> None:
    source = np.random.default_rng(seed)
    train, test = (source.normal(offset, 5, size=(count, 2)).astype(np.float32) for count in (50, 9))
    found = standardise(torch.from_numpy(train), torch.from_numpy(test))
    mean, deviation = train.astype(np.float64).mean(0), train.astype(np.float64).std(0)
    # float32 holds the offset to 2e-4, a part of 5e-5 of the deviation
    np.testing.assert_allclose(found[0].numpy(), (train - mean) / deviation, atol=2e-4)
    np.testing.assert_allclose(found[1].numpy(), (test - mean) / deviation, atol=2e-4)


@pytest.mark.parametrize("column", [torch.tensor([0.0, 1.0, 1.0]), torch.zeros(3), torch.full((3,), 7.0)])
def test_indicators_and_constants_stay_as_they_are(column: Tensor) -> None:
    found = standardise(column[:, None], torch.tensor([[5.0]]))
    assert found[0].flatten().tolist() == column.tolist()
    assert found[1].item() == 5.0
