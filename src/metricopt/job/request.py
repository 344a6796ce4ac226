"""What a user asked for, checked and resolved before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from .._checks import at_least
from .._errors import ConfigError
from .._types import LossFunction
from ..losses import get_loss
from ..methods import METHODS, Method, Transfer
from ..metrics import Budget, Metric
from ..problem import Examples
from ..runtime import shown
from ..value import LearnedValue
from .acceptance import MODEL_CALLS, planned_resamples
from .examples import gather
from .same_rows import row_hashes, shared
from .split import search_and_acceptance
from .stages import MethodLike

#: What a user who names no budget gets.
DEFAULT_CALLS = 1000
#: Fewer calls than this leave nothing to search with.
_LEAST_SEARCH = 20
#: Tables of few values hold equal rows by nature; beyond this share two parts are the same data.
_MOST_SHARED = 0.5
#: Share of a budget of seconds that the search may use; the rest is for the acceptance test.
_SEARCH_SECONDS = 0.8

#: Examples that the search never sees, a metric of the whole model on such examples, or nothing: no test.
Unseen: TypeAlias = Examples | Metric | None


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


def divided(budget: Budget | int | None, unseen: Unseen, *, learned: bool) -> Limits:
    """How much of `budget` the search gets, and how many resamples the acceptance test."""
    if isinstance(budget, bool) or not isinstance(budget, Budget | int | None):
        raise ConfigError(f"budget must be a number of metric calls or a Budget(calls=, seconds=), got {shown(budget)}")
    if budget is None or isinstance(budget, int):
        total = Budget(calls=DEFAULT_CALLS if budget is None else at_least("budget", budget, 0))
    else:
        total = budget
    resamples = planned_resamples(total.calls)
    # Without a test two calls say what came of the search.
    test = 2 if unseen is None else MODEL_CALLS if isinstance(unseen, Metric) else 2 + 2 * resamples
    least = test + (0 if learned else _LEAST_SEARCH - 2 if unseen is None else _LEAST_SEARCH)
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


def parts(val: Any, acceptance: Any, metric: Metric) -> tuple[Examples, Unseen]:
    """The search part of `val`, and what the acceptance test is made on."""
    examples = gather(val, "val")
    if acceptance is None:
        return examples, None
    if isinstance(acceptance, Metric):
        if metric.reads != "model" or acceptance.reads != "model":
            raise ConfigError("acceptance= may be a Metric only where both metrics read the model; give examples")
        return examples, acceptance
    if metric.reads == "model":
        raise ConfigError(
            f"metric {metric.name!r} reads the whole model, so its examples cannot be split or drawn anew; give "
            "acceptance= another such Metric on data that the search does not see, or acceptance=None to trust the search"
        )
    if isinstance(acceptance, bool | str):
        raise ConfigError(f"acceptance must be a share like 0.4, examples, a Metric or None, got {shown(acceptance)}")
    if isinstance(acceptance, int | float):
        return search_and_acceptance(examples, share=float(acceptance))
    unseen = gather(acceptance, "acceptance")
    double = shared(row_hashes(unseen), row_hashes(examples))
    if double > _MOST_SHARED:
        raise ConfigError(
            f"{100 * double:.0f} % of the examples in acceptance= are also in val, which the search sees; give others, "
            "or a share like acceptance=0.4"
        )
    return examples, unseen


def resolved_loss(loss: str | LossFunction) -> LossFunction:
    if isinstance(loss, str):
        return get_loss(loss)
    if not callable(loss):
        raise ConfigError(f"loss must be a name or a function (scores, targets) -> scalar, got {loss!r}")
    return loss


def resolved_method(method: MethodLike, value: LearnedValue | None) -> MethodLike:
    """`method` with its names checked, or a transfer of `value`."""
    if value is None:
        for one in [method] if isinstance(method, str | Method) else method:
            if isinstance(one, str) and one != "auto":
                METHODS[one]
        return method
    if method != "auto":
        raise ConfigError(f'value= is a method of its own; leave method= at "auto", got {method!r}')
    return Transfer(learned=value)


def check_learned(value: LearnedValue, metric: Metric, unseen: Unseen) -> None:
    """Raise ConfigError where `value` is of another metric, or was learned on what the acceptance test is made on."""
    if value.metric != metric.name:
        raise ConfigError(
            f"the value function was learned for the metric {shown(value.metric)}, but {metric.name!r} is wanted; "
            "learn one for it, or give the metric the same name if it is the same"
        )
    double = shared(row_hashes(unseen), value.rows) if isinstance(unseen, Examples) else 0.0
    if double > _MOST_SHARED:
        raise ConfigError(
            f"the value function was learned on {100 * double:.0f} % of the examples of the acceptance test; learn it "
            "with the same acceptance=, or give other examples"
        )


def resolved_device(device: str | torch.device | None, model: nn.Module) -> torch.device:
    """What was asked for, else an accelerator if there is one, else where the model is."""
    if device is not None:
        try:
            found = torch.device(device)
            torch.zeros(1, device=found).item()  # some names are known, but nothing can be computed there
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ConfigError(f'there is no device {str(device)!r}; give "cpu", "cuda" or a torch.device') from error
        return found
    if torch.cuda.is_available():
        return torch.device("cuda")
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
