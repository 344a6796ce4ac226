"""What a user asked for, checked and resolved before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .._checks import at_least
from .._errors import ConfigError
from .._shown import shown
from .._types import Reads
from ..methods import METHODS, Method, MetricOpt
from ..metrics import Budget, Metric, as_metric
from ..metrics.from_sklearn import rates_numbers
from ..metrics.told_range import WIDE, with_told_range
from ..profiles import Profile
from ..value import LearnedValue
from ..workload import Examples, Stream
from .acceptance import MODEL_CALLS, planned_resamples
from .examples import gather
from .preparation import MOST_SHARED, Holdout
from .same_rows import leaked
from .stages import MethodLike

#: What a user who names no budget gets.
DEFAULT_CALLS = 500
#: Fewer calls than this leave nothing to search with.
_LEAST_SEARCH = 20
#: Share of a budget of seconds that the search may use; the rest is for the acceptance test.
_SEARCH_SECONDS = 0.8


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A budget divided between the search and the acceptance test.

    Args:
        total: as the user gave it.
        resamples: pairs of the acceptance test.
        search_calls, search_seconds: None for no limit.
    """

    total: Budget
    resamples: int
    search_calls: int | None
    search_seconds: float | None


def divided(budget: Budget | int | None, holdout: Holdout, *, learned: bool) -> Limits:
    """How much of `budget` the search gets, and how many resamples the acceptance test."""
    if isinstance(budget, bool) or not isinstance(budget, Budget | int | None):
        raise ConfigError(f"budget must be a number of metric calls or a Budget(calls=, seconds=), got {shown(budget)}")
    if budget is None or isinstance(budget, int):
        total = Budget(calls=DEFAULT_CALLS if budget is None else at_least("budget", budget, 0))
    else:
        total = budget
    resamples = planned_resamples(total.calls)
    # Without a test two calls say what came of the search.
    test = 2 if holdout is None else MODEL_CALLS if isinstance(holdout, Metric) else 2 + 2 * resamples
    least = test + (0 if learned else _LEAST_SEARCH - 2 if holdout is None else _LEAST_SEARCH)
    if total.calls is not None and total.calls < least:
        raise ConfigError(
            f"a budget of {total.calls} metric calls is too small: the last comparison takes {test} and the search at "
            f"least {least - test}; give at least {least}, or acceptance=None to compare without a test"
        )
    return Limits(
        total=total,
        resamples=resamples,
        search_calls=None if total.calls is None else total.calls - test,
        search_seconds=None if total.seconds is None else total.seconds * _SEARCH_SECONDS,
    )


def resolved_metric(
    metric: Any,
    train: Any,
    *,
    higher_is_better: bool | None,
    bounds: tuple[float, float] | None,
    reads: Reads | None,
    stream: bool = False,
) -> tuple[Metric, Any]:
    """The metric, and `train`, in memory where it was read: it tells the range of a metric of numbers that states none.

    Raises: ConfigError, there is no such metric, or its direction or range is not known.
    """
    if isinstance(metric, list | tuple):
        raise ConfigError("metric must be one metric; metricopt.optimize_front(model, metrics=[...]) takes several")
    if bounds is None and not stream and rates_numbers(metric):
        wide = as_metric(metric, higher_is_better=higher_is_better, reads=reads, bounds=WIDE)
        examples = gather(train, "train")
        if isinstance(examples.targets, Tensor):
            return with_told_range(wide, examples.targets), examples
    return as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads), train


def resolved_method(method: MethodLike, value: LearnedValue | None) -> MethodLike:
    """`method` with its names checked, or MetricOpt that starts from `value`."""
    if value is None:
        for one in [method] if isinstance(method, str | Method) else method:
            if isinstance(one, str) and one != "auto":
                METHODS[one]
        return method
    if method != "auto":
        raise ConfigError(f'value= is a method of its own; leave method= at "auto", got {method!r}')
    return MetricOpt(prior=value)


def check_learned(value: LearnedValue, metric: Metric, profile: Profile | None, holdout: Holdout) -> None:
    """Raise where `value` is of another metric or profile, or was learned on what the acceptance test is made on."""
    value.check(profile, metric=metric.name, higher_is_better=metric.higher_is_better)
    double = leaked(holdout.hashes, value.rows) if isinstance(holdout, Examples | Stream) else 0.0
    if double > MOST_SHARED:
        raise ConfigError(
            f"the value function was learned on {100 * double:.0f} % of the examples of the acceptance test; learn it "
            "with the same acceptance=, or give other examples"
        )
