"""Budget and Meter: never exceeded by one call, nothing charged when refused, resumable."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import BudgetExhausted, ConfigError
from metricopt.metrics import Budget


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@given(limit=st.integers(0, 30), asked=st.lists(st.integers(0, 12), max_size=20))
def test_calls_never_exceed_the_budget_and_a_refusal_charges_nothing(limit, asked):
    meter = Budget(calls=limit).start(Clock())
    spent = 0
    for n in asked:
        if spent + n <= limit:
            meter.spend(n)
            spent += n
        else:
            with pytest.raises(BudgetExhausted):
                meter.spend(n)
        assert meter.calls == spent <= limit
        assert meter.calls_left == limit - spent
        assert meter.affordable(n) == min(n, limit - spent)


@given(limit=st.integers(0, 30), asked=st.lists(st.integers(0, 12), max_size=20))
def test_what_is_affordable_can_be_spent(limit, asked):
    meter = Budget(calls=limit).start(Clock())
    for n in asked:
        meter.spend(meter.affordable(n))
    assert meter.calls == min(limit, sum(asked))


def test_the_message_says_how_many_are_left():
    meter = Budget(calls=10).start(Clock())
    meter.spend(8)
    with pytest.raises(BudgetExhausted, match=r"3 more metric calls would exceed.*8 of 10 are spent, 2 are left"):
        meter.spend(3)


def test_time_runs_out_at_the_limit():
    clock = Clock()
    meter = Budget(seconds=5.0).start(clock)
    assert meter.seconds == 0.0 and meter.seconds_left == 5.0 and meter.calls_left is None
    clock.now += 4.5
    assert meter.seconds_left == 0.5 and meter.affordable(7) == 7
    meter.spend(7)
    clock.now += 0.5
    assert meter.seconds_left == 0.0 and meter.affordable(7) == 0
    with pytest.raises(BudgetExhausted, match=r"5.0 seconds is spent.*7 metric calls made"):
        meter.spend()
    clock.now += 100
    assert meter.seconds_left == 0.0 and meter.calls == 7
    meter.spend(0)  # nothing asked, nothing refused


def test_no_limit_only_counts():
    meter = Budget().start(Clock())
    meter.spend(10**9)
    assert meter.calls == 10**9 and meter.calls_left is None and meter.seconds_left is None
    assert meter.affordable(3) == 3


@pytest.mark.parametrize(
    "fields", [{"calls": -1}, {"calls": 2.5}, {"calls": True}, {"seconds": 0}, {"seconds": math.inf}]
)
def test_limits_that_cannot_work(fields):
    with pytest.raises(ConfigError, match=f"{next(iter(fields))} must be"):
        Budget(**fields)


@pytest.mark.parametrize("n", [-1, 1.5, True])
def test_only_whole_calls_can_be_spent(n):
    meter = Budget(calls=5).start(Clock())
    with pytest.raises(ConfigError, match="n must be an integer of at least 0"):
        meter.spend(n)
    assert meter.calls == 0


def test_a_meter_shows_what_it_has_spent():
    assert repr(Budget(calls=5).start(Clock())) == "Meter(calls=0 of 5, seconds=0.0 of None)"
