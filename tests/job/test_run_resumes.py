"""A run in a folder: stopped anywhere it goes on, asks nothing twice, and ends as if it had not been stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from job_case import Case
from metricopt import Budget
from metricopt._errors import CheckpointError, ConfigError, MetricError
from metricopt.metrics import get_metric


class Stopping:
    """F1 that counts its questions and raises at some of them."""

    def __init__(self, *stops: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.asked, self.stops, self.error = 0, stops, error

    def __call__(self, scores: Tensor, targets: Tensor) -> float:
        self.asked += 1
        if self.asked in self.stops:
            raise self.error("stopped")
        return get_metric("f1")(scores, targets)


def test_stopped_three_times_it_ends_as_if_it_had_run_through(case: Case, tmp_path: Path) -> None:
    whole = case.optimized(metric=Stopping(), higher_is_better=True)
    metric = Stopping(5, 60, 130)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            case.optimized(metric=metric, higher_is_better=True, run=tmp_path / "run")
    resumed = case.optimized(metric=metric, higher_is_better=True, run=tmp_path / "run")
    assert torch.equal(resumed.phi, whole.phi)
    assert (resumed.before, resumed.after, resumed.interval) == (whole.before, whole.after, whole.interval)
    assert [event.value for event in resumed.history] == [event.value for event in whole.history]
    assert all(
        torch.equal(a, b)
        for a, b in zip(resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True)
    )
    assert metric.asked == whole.calls + 3  # the three questions that were not answered


def test_a_metric_that_fails_once_is_asked_again(case: Case, tmp_path: Path) -> None:
    metric = Stopping(20, error=ConnectionError)
    with pytest.raises(MetricError, match="ConnectionError"):
        case.optimized(metric=metric, higher_is_better=True, run=tmp_path)
    assert case.optimized(metric=metric, higher_is_better=True, run=tmp_path).accepted


def test_a_finished_run_asks_nothing(case: Case, tmp_path: Path) -> None:
    first = case.optimized(run=tmp_path)
    again = case.optimized(metric=get_metric("f1"), run=tmp_path)
    assert torch.equal(first.phi, again.phi)
    cache = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert len(cache) == first.calls


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed was 0"), ({"metric": "mcc"}, "metric was 'f1'"), ({"dim": 8}, "dim was 16")],
)
def test_another_run_in_the_same_folder_is_refused(
    case: Case, tmp_path: Path, change: dict[str, object], named: str
) -> None:
    case.optimized(run=tmp_path, method="threshold", budget=70)
    with pytest.raises(ConfigError, match=named):
        case.optimized(run=tmp_path, **({"method": "threshold", "budget": 70} | change))


def test_other_data_or_another_model_is_another_run(case: Case, tmp_path: Path) -> None:
    case.optimized(run=tmp_path, method="threshold", budget=70)
    case.train[0][0, 0] += 1
    with pytest.raises(ConfigError, match="train was"):
        case.optimized(run=tmp_path, method="threshold", budget=70)
    case.train[0][0, 0] -= 1
    with torch.no_grad():
        case.model[2].bias += 1
    with pytest.raises(ConfigError, match="model was"):
        case.optimized(run=tmp_path, method="threshold", budget=70)


def test_another_metric_of_the_same_name_is_another_run(case: Case, tmp_path: Path) -> None:
    def rate(worth: float) -> Callable[[Tensor, Tensor], float]:
        return lambda scores, targets: worth * get_metric("f1")(scores, targets)

    given: dict[str, object] = {"higher_is_better": True, "run": tmp_path, "method": "threshold", "budget": 70}
    case.optimized(metric=rate(1.0), **given)
    case.optimized(metric=rate(1.0), **given)
    with pytest.raises(ConfigError, match="'metric code' was"):
        case.optimized(metric=rate(0.5), **given)


def test_a_run_that_time_ended_ends_there_again(case: Case, tmp_path: Path) -> None:
    """The clock of a run moves with its cache, so a stopped run is cut where the whole one would have been."""
    case.optimized(method="random_search", budget=62)  # the first run of a process spends seconds on imports
    budget = Budget(seconds=1.0)
    metric = Stopping(60, 200)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            case.optimized(metric=metric, higher_is_better=True, run=tmp_path, budget=budget, method="random_search")
    asked = metric.asked
    resumed = case.optimized(metric=metric, higher_is_better=True, run=tmp_path, budget=budget, method="random_search")
    again = case.optimized(metric=metric, higher_is_better=True, run=tmp_path, budget=budget, method="random_search")
    assert resumed.calls == again.calls == metric.asked - 2 > asked - 2
    assert torch.equal(resumed.phi, again.phi)
    assert (resumed.before, resumed.after, resumed.interval) == (again.before, again.after, again.interval)


def test_a_folder_with_other_things_in_it_is_left_alone(case: Case, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match=r"holds no run \(thesis.tex\)"):
        case.optimized(run=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["thesis.tex"]


def test_answers_that_something_else_wrote_are_refused(case: Case, tmp_path: Path) -> None:
    case.optimized(run=tmp_path, method="threshold", budget=70)
    cache = tmp_path / "answers.jsonl"
    lines = cache.read_text().splitlines()
    lines[3] = json.dumps({"question": "?", "answer": "0.5", "seconds": 0})
    cache.write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckpointError, match="line 4"):
        case.optimized(run=tmp_path, method="threshold", budget=70)
