"""How a metric is asked: the budget to one call, the order, old answers, executors side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metricopt._errors import BudgetExhausted, ConfigError, MetricError
from metricopt.asking import AskInTurn, AskOnce, AskOnExecutor, check_travels, name_of
from metricopt.metrics import Budget, Metric, get_metric
from metricopt.problem import Problem
from metricopt.runtime import MetricCache, ProcessExecutor, ThreadExecutor, make_executor
from tiny_problem import tiny_problem


def mean(scores: Tensor, targets: Tensor) -> float:
    """At the top of a module, so that it travels to workers."""
    return float(scores.sigmoid().mean())


MEAN = Metric(mean, name="mean", higher_is_better=True)


def questions(count: int) -> list[tuple[Tensor, Tensor]]:
    return [(torch.full((4,), float(i) / 8), torch.ones(4)) for i in range(count)]


@settings(max_examples=20)
@given(limit=st.integers(0, 9), counts=st.lists(st.integers(0, 6), max_size=4), workers=st.integers(1, 3))
def test_side_by_side_the_budget_is_never_exceeded_and_the_order_kept(
    limit: int, counts: list[int], workers: int
) -> None:
    made, lock = [0], threading.Lock()

    def counted(scores: Tensor, targets: Tensor) -> float:
        with lock:
            made[0] += 1
        return mean(scores, targets)

    metric = Metric(counted, name="counted", higher_is_better=True)
    meter = Budget(calls=limit).start()
    with ThreadExecutor(workers) as executor:
        ask = AskOnExecutor(executor, workers=workers)
        for count in counts:
            found: list[float] = []
            try:
                found.extend(ask(metric, questions(count), meter))
            except BudgetExhausted:
                assert len(found) < count
                assert meter.calls == limit
            assert found == [MEAN(*q) for q in questions(count)][: len(found)]
            assert made[0] == meter.calls <= limit


def test_processes_give_what_this_process_gives() -> None:
    batch = 0.2 * torch.randn(6, tiny_problem().dim, generator=torch.Generator().manual_seed(0))
    here = tiny_problem(metric=get_metric("f1"))
    with ProcessExecutor(2) as executor:
        ask = AskOnExecutor(executor, workers=2)
        there = Problem(here.workload, metric=here.metric, budget=Budget(calls=6), ask=ask)
        assert torch.equal(there.observe(batch), here.observe(batch))
        assert there.meter.calls == 6
        with pytest.raises(BudgetExhausted):
            there.observe(batch[:1])


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_a_metric_that_raises_is_named_and_charged(name: str) -> None:
    def fails(scores: Tensor, targets: Tensor) -> float:
        raise ValueError("no more")

    metric, meter = Metric(fails, name="fails", higher_is_better=True), Budget(calls=5).start()
    with make_executor(name, workers=2) as executor, pytest.raises(MetricError, match=r"fails.*no more"):
        list(AskOnExecutor(executor, workers=2)(metric, questions(2), meter))
    assert meter.calls == 2


def test_old_answers_are_not_asked_again_in_any_order_of_old_and_new(tmp_path: Path) -> None:
    path, told = tmp_path / "answers.jsonl", [0]

    def note() -> None:
        told[0] += 1

    with MetricCache(path) as cache:
        first = list(AskOnce(AskInTurn(), cache, note)(MEAN, questions(3), Budget().start()))
    asked: list[float] = []

    def watched(scores: Tensor, targets: Tensor) -> float:
        asked.append(float(scores[0]))
        return mean(scores, targets)

    metric = Metric(watched, name="mean", higher_is_better=True)
    mixed = [questions(5)[i] for i in (4, 0, 3, 2, 1, 0)]  # the last one was answered once only
    with MetricCache(path) as cache, ThreadExecutor(2) as executor:
        ask = AskOnce(AskOnExecutor(executor, workers=2), cache, note)
        meter = Budget(calls=6).start()
        values = list(ask(metric, mixed, meter))
    assert values == [MEAN(*q) for q in mixed]
    assert values[1] == first[0]
    assert sorted(asked) == [0.0, 3 / 8, 4 / 8]
    assert meter.calls == 6
    assert told[0] == 9


def test_what_cannot_travel_is_said_before_anything_runs() -> None:
    lock = threading.Lock()
    locked = Metric(lambda scores, targets: lock and 0.5, name="locked", higher_is_better=True)
    with pytest.raises(ConfigError, match=r"cannot be sent to the workers of executor='processes'.*open files, locks"):
        check_travels(locked, "processes")
    check_travels(MEAN, "processes")


def test_questions_have_names_of_their_content() -> None:
    one, two = questions(2)
    assert name_of(one) == name_of((one[0].clone(), one[1])) != name_of(two)
    records = ([{"boxes": torch.zeros(1, 4), "label": "cat"}], torch.ones(1))
    other = ([{"boxes": torch.zeros(1, 4), "label": "dog"}], torch.ones(1))
    assert name_of(records) != name_of(other)
