"""How many metric calls and seconds a run may spend, and how many it has spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .._checks import at_least, positive
from .._errors import BudgetExhausted

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit on metric calls, on seconds, on both, or on neither.

    Args:
        calls: the most metric calls, None for no limit. 0 is allowed: no call at all.
        seconds: the most seconds since `start`, None for no limit.

    >>> meter = Budget(calls=3).start()
    >>> meter.spend(2)
    >>> meter.calls, meter.calls_left, meter.affordable(5)
    (2, 1, 1)
    """

    calls: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.calls is not None:
            at_least("calls", self.calls, 0)
        if self.seconds is not None:
            positive("seconds", self.seconds)

    def start(self, clock: Clock = time.monotonic) -> Meter:
        """A meter at zero whose clock runs from now."""
        return Meter(self, clock=clock)


class Meter:
    """Counts calls and seconds against a budget. Made by `Budget.start`."""

    def __init__(self, budget: Budget, *, clock: Clock = time.monotonic) -> None:
        self.budget = budget
        self._clock = clock
        self._calls = 0
        self._began = clock()

    def __repr__(self) -> str:
        return f"Meter(calls={self._calls} of {self.budget.calls}, seconds={self.seconds:.1f} of {self.budget.seconds})"

    @property
    def calls(self) -> int:
        """Metric calls spent so far."""
        return self._calls

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    @property
    def calls_left(self) -> int | None:
        """Calls that may still be spent; None for no limit. Time is not looked at."""
        return None if self.budget.calls is None else max(self.budget.calls - self._calls, 0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left, at least 0; None for no limit."""
        return None if self.budget.seconds is None else max(self.budget.seconds - self.seconds, 0.0)

    def affordable(self, n: int) -> int:
        """How many of `n` calls may be spent now: 0 once the time is up."""
        at_least("n", n, 0)
        if self.seconds_left == 0.0:
            return 0
        left = self.calls_left
        return n if left is None else min(n, left)

    def spend(self, n: int = 1) -> None:
        """Charge `n` calls before they are made.

        Raises:
            BudgetExhausted: the calls would exceed the budget, or its time is up. Nothing is charged then.
        """
        at_least("n", n, 0)
        if n == 0:
            return
        if self.seconds_left == 0.0:
            raise BudgetExhausted(
                f"the budget of {self.budget.seconds} seconds is spent ({self.seconds:.1f} s since the start, "
                f"{self._calls} metric calls made); give more seconds, or stop here"
            )
        left = self.calls_left
        if left is not None and n > left:
            raise BudgetExhausted(
                f"{n} more metric calls would exceed the budget: {self._calls} of {self.budget.calls} are spent, "
                f"{left} are left; ask for at most meter.affordable(n), or give more calls"
            )
        self._calls += n
