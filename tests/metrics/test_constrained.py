"""A metric subject to limits: what keeps them is better than what breaks them, and a margin asks for more."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.metrics import (
    Constraint,
    Metric,
    as_judged,
    as_metric,
    constrained,
    from_command,
    from_url,
    get_metric,
    limit_from_spec,
)

SCORES = torch.tensor([3.0, 2.0, 1.0, -1.0, -2.0, -3.0])
TARGETS = torch.tensor([1, 0, 1, 1, 0, 0])


def rows(seed: int, count: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    source = generator("constrained", seed)
    targets = (torch.rand(count, generator=source) < 0.3).long()
    return targets * 1.5 - 1.0 + torch.randn(count, generator=source), targets


def test_a_limit_that_holds_leaves_the_objective_alone() -> None:
    assert constrained("precision", recall=">= 0.5", margin=0)(SCORES, TARGETS) == pytest.approx(2 / 3)


def test_a_broken_limit_puts_the_value_outside_the_range_of_the_objective() -> None:
    assert constrained("precision", recall=">= 0.9")(SCORES, TARGETS) == pytest.approx(2 / 3 - 0.9)
    # Lower is better: outside means above.
    assert constrained("mcr", recall=">= 0.9")(SCORES, TARGETS) == pytest.approx(1 + 0.9 - 2 / 3)
    # Of two limits the mean of what is missing.
    both = constrained("mcr", recall=">= 0.9", false_positive_rate="<= 10 %")
    assert both(SCORES, TARGETS) == pytest.approx(1 + ((0.9 - 2 / 3) + (1 / 3 - 0.1)) / 2)


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(["f1", "mcr"]))
def test_what_keeps_the_limits_is_better_than_what_breaks_them(seed: int, one: float, other: float, name: str) -> None:
    scores, targets = rows(seed)
    metric, recall = constrained(name, recall=">= 0.8", margin=0), get_metric("recall")
    worth = [metric.utility(metric(scores + shift, targets)) for shift in (one, other)]
    kept = [recall(scores + shift, targets) >= 0.8 for shift in (one, other)]
    if kept[0] and not kept[1]:
        assert worth[0] > worth[1]
    if not kept[0] and not kept[1]:
        further = [recall(scores + shift, targets) for shift in (one, other)]
        assert (worth[0] > worth[1]) == (further[0] > further[1])
    assert all(0 <= value <= 1 for value in worth)


def test_a_margin_asks_for_more_and_the_test_for_the_limit_itself() -> None:
    scores, targets = rows(0)
    found = get_metric("recall")(scores + 1.0, targets)
    metric = constrained("precision", f"recall >= {found - 0.005}", margin=2)
    assert metric(scores + 1.0, targets) < 0  # kept, but by less than two standard errors
    assert as_judged(metric)(scores + 1.0, targets) == get_metric("precision")(scores + 1.0, targets)
    assert as_judged(as_metric("f1")).name == "f1"


def test_the_jackknife_finds_the_standard_error_of_a_share() -> None:
    errors, values = [], []
    limit = Constraint(metric=get_metric("accuracy"), at_least=True, limit=0.5)
    for seed in range(200):
        value, error = limit.measured(*rows(seed))
        errors.append(error)
        values.append(value)
    true = torch.tensor(values).std()
    assert torch.tensor(errors).mean() == pytest.approx(float(true), rel=0.15)  # of 200: its own error is 5 %


def test_a_limit_on_a_metric_of_ones_own() -> None:
    most = Metric(lambda s, t: float((s > 2).sum()), name="alarms", higher_is_better=False, bounds=(0, 1000))
    metric = constrained("recall", Constraint(metric=most, at_least=False, limit=2))
    assert metric.name == "recall subject to alarms <= 2"
    assert metric(SCORES, TARGETS) == pytest.approx(2 / 3)
    assert metric(SCORES + 3, TARGETS) < 0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: constrained("f1"), "needs a limit"),
        (lambda: constrained("f1", recall="0.9"), "looks like"),
        (lambda: constrained("f1", "recall > 0.9"), "looks like"),
        (lambda: constrained("f1", ">= 0.9"), "looks like"),
        (lambda: constrained("f1", "recall >= 0.9 or so"), "looks like"),
        (lambda: constrained("f1", "recall >= 1.2.3"), "is no number"),
        (lambda: constrained("f1", recall=">= 90"), "outside the values of recall"),
        (lambda: constrained("f1", recal=">= 0.9"), "did you mean 'recall'"),
        (lambda: constrained("f1", recall=">= 0.9", margin=-1), "margin must be"),
        (lambda: constrained(constrained("f1", recall=">= 0.9"), recall=">= 0.8"), "already"),
        (lambda: constrained("recall", 3), "looks like"),
        (lambda: limit_from_spec("nowhere.py:f >= 0.1"), "nowhere.py"),
    ],
)
def test_what_is_no_limit_is_told(make: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()  # type: ignore[operator]


def test_a_limit_on_a_program_or_a_server_is_refused_wherever_it_is_stated() -> None:
    program = from_command(["true", "{file}"], name="program", higher_is_better=True)
    server = from_url("http://localhost:1/rate", name="server", higher_is_better=True)
    for far in (program, server):
        with pytest.raises(ConfigError, match="asked too often"):
            constrained("precision", Constraint(metric=far, at_least=True, limit=0.5))
    assert constrained(program, recall=">= 0.5").name == "program subject to recall >= 0.5"
