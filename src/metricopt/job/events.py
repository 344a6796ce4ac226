"""What happens during one call of `optimize`, as values: progress bars, loggers and dashboards consume them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Began:
    """The first event.

    Args:
        total_calls: metric calls that may be made in all, None for no limit.
        metric, higher_is_better: what is wanted.
        settings: plain values that describe the run.
    """

    total_calls: int | None
    metric: str
    higher_is_better: bool
    settings: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageBegan:
    """A stage of the search starts: `stage` is its name, `title` says it in words."""

    stage: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One phi was rated on the search part.

    Args:
        stage: which stage asked.
        call: number of the observation in the whole run, from 1.
        value: the metric as it is, not a utility.
        best: the best value so far.
        seconds: since the run began.
    """

    stage: str
    call: int
    value: float
    best: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The acceptance test is done: values on examples that the search never saw, `low` and `high` of the gain."""

    before: float
    after: float
    low: float
    high: float
    accepted: bool
    reason: str


Event: TypeAlias = Began | StageBegan | Observed | Checked
Watcher: TypeAlias = Callable[[Event], None]


@contextmanager
def closed_on_failure(watchers: Sequence[Watcher]) -> Iterator[None]:
    """Where what is inside fails, `close()` is called of each watcher that has one; then the exception goes on.

    A watcher that cannot be closed is noted on that exception: it must not hide what went wrong first.
    """
    try:
        yield
    except BaseException as error:
        for watcher in watchers:
            close = getattr(watcher, "close", None)
            try:
                if callable(close):
                    close()
            except Exception as second:  # noqa: BLE001 - what failed first goes on, with this as a note
                error.add_note(f"closing {type(watcher).__name__} failed, too: {type(second).__name__}: {second}")
        raise
