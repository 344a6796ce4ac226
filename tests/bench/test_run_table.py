"""A table is done run by run: it stops at any moment, goes on, and remembers what failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from metricopt.bench import Run, failure_store, run_one, run_table
from metricopt.runtime import ResultStore, RunKey


def without_seconds(store: ResultStore) -> list[dict[str, Any]]:
    """All rows but for what a clock says."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in store.rows()]


class StopsAfter(ResultStore):
    """A store whose user loses patience after some rows."""

    def __init__(self, path: Path, rows: int) -> None:
        super().__init__(path)
        self.left = rows

    def append(self, key: RunKey, result: Mapping[str, Any]) -> bool:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().append(key, result)


def test_a_stopped_table_goes_on_to_the_same_rows(tmp_path: Path, runs: list[Run]) -> None:
    whole = ResultStore(tmp_path / "whole.jsonl")
    assert run_table(runs, whole, workers=0) == []
    with pytest.raises(KeyboardInterrupt):
        run_table(runs, StopsAfter(tmp_path / "halves.jsonl", 5), workers=0)
    halves = ResultStore(tmp_path / "halves.jsonl")
    assert len(halves.rows()) == 5
    assert run_table(runs, halves, workers=0) == []
    assert without_seconds(halves) == without_seconds(whole)
    assert [row["key"] for row in whole.rows()] == [run.key.digest for run in runs]


def test_worker_processes_give_the_same_figures(tmp_path: Path, runs: list[Run]) -> None:
    runs = runs[:6]
    here, there = ResultStore(tmp_path / "here.jsonl"), ResultStore(tmp_path / "there.jsonl")
    run_table(runs, here, workers=0)
    with pytest.raises(KeyboardInterrupt):
        run_table(runs, StopsAfter(there.path, 2), workers=1)
    assert len(there.rows()) == 2
    assert run_table(runs, there, workers=2) == []

    def figures(store: ResultStore) -> dict[str, Any]:
        return {row["key"]: (row["val"], row["test"], row["calls"], row["diagnostics"]) for row in store.rows()}

    assert figures(there) == figures(here)


def test_finished_runs_are_not_done_again(tmp_path: Path, runs: list[Run]) -> None:
    store = ResultStore(tmp_path / "rows.jsonl")
    run_table(runs[:3], store, workers=0)
    before = store.path.read_bytes()
    run_table(runs[:3], store, workers=0)
    assert store.path.read_bytes() == before


def test_a_failed_run_is_recorded_and_tried_again(tmp_path: Path, runs: list[Run], failing_method: str) -> None:
    store = ResultStore(tmp_path / "rows.jsonl")
    bad = Run(data="breast_cancer", sampler="plain", metric="f1", method=failing_method, seed=0, calls=12)
    for attempt in range(2):
        (failure,) = run_table([bad, runs[0]], store, workers=0)
        assert failure.run == bad
        assert "RuntimeError: this method cannot search" in failure.traceback
        failed = failure_store(store).rows()
        assert [row["settings"]["attempt"] for row in failed] == list(range(attempt + 1))
        assert failed[-1]["run"] == bad.key.digest
        assert 'raise RuntimeError("this method cannot search")' in failed[-1]["traceback"]
    assert [row["key"] for row in store.rows()] == [runs[0].key.digest]


def test_a_row_says_what_was_measured(runs: list[Run]) -> None:
    by_method = {run.method: run_one(run) for run in runs[:3]}
    start = by_method["as_trained"]
    assert (start["calls"], start["val"], start["test"]) == (0, start["val_start"], start["test_start"])
    searched = by_method["random_search"]
    assert searched["calls"] == 12
    assert searched["val"] <= searched["val_start"]  # misclassification: it observed the start and 11 others
    assert searched["test_start"] == start["test"]
    assert start["materials"]["n_test"] == 113
    assert start["environment"]["threads"] == 1


def test_a_retuned_method_is_another_run(failing_method: str, runs: list[Run]) -> None:
    keys = {run.method: run.key for run in runs[:3]}
    assert keys["random_search"].settings["method"] != {}
    assert keys["as_trained"].settings["adapters"] == "shifted"
    paper = Run(data="breast_cancer", sampler="plain", metric="f1", method="metricopt_paper", seed=0, calls=12)
    assert paper.key.settings["adapters"] == "paper"
