"""One metric subject to limits on others: maximise precision subject to recall >= 0.9."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from .._errors import ConfigError
from .as_metric import as_metric
from .judged import Judged, takes_beside
from .metric import Metric

_LIMIT = re.compile(r"(?P<sense>>=|<=|≥|≤)\s*(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<percent>%?)")
#: Parts that the standard error of a constraint is told from, by leaving out one at a time.
FOLDS = 10


@final
@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A limit on a metric.

    Args:
        metric: what is limited; its direction does not matter.
        at_least: whether its value must be at least `limit`, or at most.
        limit: inside the bounds of the metric.
    """

    metric: Metric
    at_least: bool
    limit: float

    def __post_init__(self) -> None:
        low, high = self.metric.bounds
        if not low <= self.limit <= high:
            raise ConfigError(
                f"the limit in {str(self)!r} lies outside the values of {self.metric.name}, {low:g} to {high:g}"
            )
        if self.metric.reads == "model":
            raise ConfigError(f"metric {self.metric.name!r} reads the whole model; a limit needs scores and targets")
        if isinstance(self.metric.fn, Subject):
            raise ConfigError(f"metric {self.metric.name!r} is constrained itself; name its limits one by one")
        if isinstance(self.metric.fn, _far_kinds()):
            raise ConfigError(
                f"a limit must be on a metric of this process, not on {self.metric.name!r}, which is asked too often: "
                "every call of the constrained metric measures each limit eleven times"
            )

    def __str__(self) -> str:
        return f"{self.metric.name} {'>=' if self.at_least else '<='} {self.limit:g}"

    def slack(self, value: float) -> float:
        """By how much a value keeps the limit, as a share of the metric's range; below zero it breaks it."""
        low, high = self.metric.bounds
        return (value - self.limit if self.at_least else self.limit - value) / (high - low)

    def measured(self, outputs: Tensor, targets: Any) -> tuple[float, float]:
        """The value, and its standard error by the jackknife: tenths of the rows left out, one at a time.

        >>> from metricopt.metrics import get_metric
        >>> half = Constraint(metric=get_metric("accuracy"), at_least=True, limit=0.5)
        >>> targets = torch.arange(400) % 2
        >>> value, error = half.measured(torch.where(torch.arange(400) % 5 == 0, -1.0, 1.0) * (targets - 0.5), targets)
        >>> value, 0.0 < error < 0.1
        (0.8, True)
        """
        value = self.metric(outputs, targets)
        if len(outputs) < 2 * FOLDS:
            return value, 0.0
        # In a fixed random order: rows may stand in the file by class, or in turn.
        fold = torch.randperm(len(outputs), generator=torch.Generator().manual_seed(0)) % FOLDS
        without = [self.metric(outputs[fold != one], _some(targets, fold != one)) for one in range(FOLDS)]
        spread = torch.tensor(without, dtype=torch.float64).var(correction=0)
        return value, math.sqrt((FOLDS - 1) * float(spread))


def _some(targets: Any, rows: Tensor) -> Any:
    return Judged(*(part[rows] for part in targets)) if isinstance(targets, Judged) else targets[rows]


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a constrained metric computes, `(outputs, targets) -> number`.

    Where all limits are kept it is the objective. Else it is worse than the objective can be, by the mean share by
    which limits are broken: whatever keeps them is better than whatever does not.

    Args:
        objective: what is wanted.
        constraints: what must hold.
        margin: standard errors by which limits must be kept, so that they hold on other rows, too.
    """

    objective: Metric
    constraints: tuple[Constraint, ...]
    margin: float

    @property
    def takes_beside(self) -> bool:
        return any(takes_beside(one.fn) for one in (self.objective, *(limit.metric for limit in self.constraints)))

    def __call__(self, outputs: Tensor, targets: Any, beside: Any = None) -> float:
        targets = targets if beside is None else Judged(targets, beside)
        broken = sum(self._broken(one, outputs, targets) for one in self.constraints) / len(self.constraints)
        if broken == 0.0:
            return self.objective(outputs, targets)
        low, high = self.objective.bounds
        return low - broken * (high - low) if self.objective.higher_is_better else high + broken * (high - low)

    def _broken(self, one: Constraint, outputs: Tensor, targets: Any) -> float:
        if self.margin == 0.0:
            return min(max(-one.slack(one.metric(outputs, targets)), 0.0), 1.0)
        value, error = one.measured(outputs, targets)
        low, high = one.metric.bounds
        return min(max(self.margin * error / (high - low) - one.slack(value), 0.0), 1.0)


def _far_kinds() -> tuple[type, ...]:
    """Metrics that another process computes."""
    from .external.command import Command
    from .external.endpoint import Endpoint

    return Command, Endpoint


def constrained(
    objective: Any,
    *subject_to: str | Constraint,
    margin: float = 1.0,
    higher_is_better: bool | None = None,
    bounds: tuple[float, float] | None = None,
    **limits: str | float,
) -> Metric:
    """The metric `objective` subject to limits on others.

    A model that breaks a limit is rated below all that keep them, by how far it breaks it; so the search first finds
    what is feasible, then what is best of it. On the rows of the search a limit must be kept by `margin` standard
    errors: what just keeps it there breaks it on other rows half of the time. The acceptance test asks for the limits
    as they are.

    Args:
        objective: as for `as_metric`. Of one call of the constrained metric every limit is measured eleven times, and
            once with margin=0.
        subject_to: limits as text, "recall >= 0.9", or `Constraint`s, for metrics of your own.
        margin: standard errors. How often limits then hold on other rows was measured, see docs/results/limits.md.
        higher_is_better, bounds: of the objective, where it does not say so itself.
        limits: the same as `subject_to` for metrics with a plain name.

    Raises:
        ConfigError: a limit is no limit, lies outside the range of its metric, or names none.

    >>> metric = constrained("precision", recall=">= 0.9")
    >>> metric.name, metric.bounds
    ('precision subject to recall >= 0.9', (-1.0, 1.0))
    >>> scores, targets = torch.tensor([2.0, 1.0, -1.0, -2.0]), torch.tensor([1, 0, 1, 0])
    >>> metric(scores, targets)  # recall is 0.5, so it is below 0, by 0.4
    -0.4
    """
    wanted = as_metric(objective, higher_is_better=higher_is_better, bounds=bounds)
    if wanted.reads == "model":
        raise ConfigError(f"metric {wanted.name!r} reads the whole model; limits need scores and targets")
    if isinstance(wanted.fn, Subject):
        raise ConfigError(f"metric {wanted.name!r} is constrained already; name all limits in one call")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf:
        raise ConfigError(f"margin must be a number of standard errors of at least 0, got {margin!r}")
    found = [one if isinstance(one, Constraint) else parse_constraint(one) for one in subject_to]
    found += [parse_constraint(f"{name} {limit}") for name, limit in limits.items()]
    if not found:
        raise ConfigError('constrained needs a limit, for example constrained("precision", recall=">= 0.9")')
    low, high = wanted.bounds
    worst = (2 * low - high, high) if wanted.higher_is_better else (low, 2 * high - low)
    resampling = next((one.resampling for one in (wanted, *(one.metric for one in found)) if one.resampling), None)
    return Metric(
        Subject(objective=wanted, constraints=tuple(found), margin=float(margin)),
        name=f"{wanted.name} subject to {', '.join(map(str, found))}",
        higher_is_better=wanted.higher_is_better,
        bounds=worst,
        resampling=resampling,
    )


def parse_constraint(text: str) -> Constraint:
    """The limit that a text like "recall >= 0.9" or "false_positive_rate <= 5 %" states.

    >>> str(parse_constraint("false_positive_rate<=5%"))
    'false_positive_rate <= 0.05'
    """
    name, at_least, limit = split_limit(text)
    return Constraint(metric=as_metric(name), at_least=at_least, limit=limit)


def split_limit(text: str) -> tuple[str, bool, float]:
    """Name of the metric, whether the limit is one from below, and the limit, of a text like "recall >= 0.9"."""
    found = _LIMIT.search(text) if isinstance(text, str) else None
    name = "" if found is None else text[: found.start()].strip()
    if found is None or found.end() != len(text.rstrip()) or not name:
        raise ConfigError(f'a limit looks like "recall >= 0.9" or "false_positive_rate <= 5 %", got {text!r}')
    try:
        number = float(found["number"])
    except ValueError:
        raise ConfigError(f"{found['number']!r} in the limit {text!r} is no number") from None
    return name, found["sense"] in (">=", "≥"), number / 100 if found["percent"] else number


def as_judged(metric: Metric) -> Metric:
    """The metric that the acceptance test asks: of a constrained one with the limits as they are, without a margin."""
    if not isinstance(metric.fn, Subject) or metric.fn.margin == 0.0:
        return metric
    return replace(metric, fn=replace(metric.fn, margin=0.0))
