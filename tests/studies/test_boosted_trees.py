"""The outside reference and its tuned threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from metricopt._errors import CheckpointError, ConfigError
from metricopt._random import derive_seed
from metricopt.bench import Run, run_one
from metricopt.metrics import Metric, get_metric
from metricopt.tasks import Materials, Pretraining, TabularTask
from metricopt.tasks.disk_cache import entries_root
from studies import boosted_trees as reference
from studies.boosted_trees import boosted_trees, register, tuned_shift


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own for every test."""
    monkeypatch.setenv("METRICOPT_CACHE", str(tmp_path))
    return entries_root() / "reference"


@pytest.fixture
def materials() -> Materials:
    return TabularTask(data="breast_cancer", recipe=Pretraining(epochs=1)).build(0, cache=False)


def test_scores_are_the_log_odds_of_scikit_learn(materials: Materials) -> None:
    scores = boosted_trees(materials, iterations=5)
    model = HistGradientBoostingClassifier(max_iter=5, random_state=derive_seed(0, "reference") % 2**32)
    model.fit(materials.train.x.numpy(), materials.train.y.numpy())
    for found, rows in ((scores.val, materials.val), (scores.test, materials.test)):
        expected = model.predict_proba(rows.x.numpy())[:, 1]
        np.testing.assert_allclose(torch.sigmoid(found).numpy(), expected, atol=1e-6)  # float32 against float64
    assert scores.seconds > 0


def test_the_second_call_reads_from_disk(materials: Materials, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = boosted_trees(materials, iterations=3)
    other = boosted_trees(materials, iterations=4)
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(reference, "_fit", lambda *arguments: pytest.fail("fitted again"))
    again = boosted_trees(materials, iterations=3)
    assert torch.equal(first.val, again.val)
    assert torch.equal(first.test, again.test)
    assert first.seconds == again.seconds
    assert not torch.equal(first.val, other.val)


def test_the_cache_can_be_switched_off(materials: Materials, cache: Path) -> None:
    boosted_trees(materials, iterations=2, cache=False)
    assert not cache.exists()


def test_a_damaged_entry_is_an_error(materials: Materials, cache: Path) -> None:
    boosted_trees(materials, iterations=2)
    (entry,) = cache.iterdir()
    entry.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="remove it, and it is made again"):
        boosted_trees(materials, iterations=2)


def test_no_tree_at_all_is_an_error(materials: Materials) -> None:
    with pytest.raises(ConfigError, match="iterations must be an integer of at least 1"):
        boosted_trees(materials, iterations=0)


@given(seed=st.integers(0, 200), name=st.sampled_from(["mcr", "f1", "balanced_accuracy"]))
def test_with_enough_candidates_no_threshold_is_better(seed: int, name: str) -> None:
    source = np.random.default_rng(seed)
    scores = source.normal(1.5, 1, size=20).round(1)
    targets = source.integers(0, 2, size=20)
    metric = get_metric(name)
    given_scores, given_targets = torch.from_numpy(scores), torch.from_numpy(targets)
    shift = tuned_shift(given_scores, given_targets, metric)
    reached = metric.utility(metric(given_scores + shift, given_targets))
    levels = np.unique(scores)
    # cuts between two neighbours; the scores as they are; not the cuts that give all rows one label
    cuts = [*((levels[1:] + levels[:-1]) / 2), 0.0]
    best = max(metric.utility(metric(torch.from_numpy(scores - cut), given_targets)) for cut in cuts)
    assert reached == pytest.approx(best, abs=1e-12)


def test_a_metric_of_the_order_leaves_the_scores_alone() -> None:
    scores, targets = torch.linspace(-2, 2, 30), (torch.arange(30) % 3 == 0).float()
    assert tuned_shift(scores, targets, get_metric("average_precision")) == 0.0


def test_equal_scores_leave_nothing_to_tune() -> None:
    assert tuned_shift(torch.ones(4), torch.tensor([0.0, 1.0, 0.0, 1.0]), get_metric("mcr")) == 0.0


def test_few_candidates_ask_the_metric_few_times() -> None:
    calls = []

    def wrong(labels: Tensor, targets: Tensor) -> float:
        calls.append(len(labels))
        return float((labels != targets).float().mean())

    counting = Metric(wrong, name="counting", higher_is_better=False, reads="labels")
    tuned_shift(torch.linspace(-2, 2, 300), torch.ones(300), counting, candidates=10)
    assert len(calls) == 11


def test_boosted_trees_count_their_calls() -> None:
    register()
    common = {"data": "breast_cancer", "sampler": "plain", "metric": "f1", "seed": 0, "calls": 12}
    plain = run_one(Run(method="boosted_trees", **common))  # type: ignore[arg-type]
    tuned = run_one(Run(method="boosted_trees_threshold", **common))  # type: ignore[arg-type]
    assert plain["calls"] == 0
    assert 1 < tuned["calls"] <= 12
    assert plain["test"] == tuned["test_start"]
    assert tuned["val"] >= plain["val"]
