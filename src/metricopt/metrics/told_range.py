"""The range of a metric of numbers that states none, told from the data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from .._errors import ConfigError, MetricError
from .metric import Metric

#: A range that nothing leaves, for a metric whose own one is not known.
WIDE = (-1e300, 1e300)


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """Bounds, and which of them is the worst value: what is worse still counts as that."""

    bounds: tuple[float, float]
    worst: float

    def clipped(self, value: float) -> float:
        return max(value, self.worst) if self.worst == self.bounds[0] else min(value, self.worst)


def told_range(metric: Metric, targets: Tensor) -> Range:
    """From the value of a perfect prediction to one that is twice as far from it as that of the mean for every row.

    A search compares utilities in [0, 1], so values need a finite range, and few metrics of numbers have one. R^2 gets
    (-1, 1), an error (0, twice that of the mean).

    Args:
        metric: with the range `WIDE`.
        targets: rows that tell the range, `(N,)`.

    Raises:
        ConfigError: the mean is rated as good as a perfect prediction, or better, so the range cannot be told.
        MetricError: the metric fails on these rows.
    """
    perfect = metric(targets, targets)
    typical = metric(torch.full_like(targets, float(targets.double().mean())), targets)
    worst = typical + (typical - perfect)
    if bool((targets == targets[0]).all()):  # then nothing is worse than the mean, and any range will do
        worst = perfect - 1.0 if metric.higher_is_better else perfect + 1.0
    elif math.isclose(perfect, typical) or (perfect > typical) is not metric.higher_is_better:
        raise ConfigError(
            f"metric {metric.name!r} rates a perfect prediction {perfect:.6g} and the mean of the targets "
            f"{typical:.6g}, with higher_is_better={metric.higher_is_better}: so its range cannot be told from the "
            "data; correct the direction, or state the range with bounds=(low, high)"
        )
    return Range(bounds=(min(perfect, worst), max(perfect, worst)), worst=worst)


@final
@dataclass(frozen=True)
class _InRange:
    """A metric whose values end where its range does."""

    metric: Metric
    range: Range

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        return self.range.clipped(self.metric(outputs, targets))


def with_told_range(metric: Metric, targets: Tensor) -> Metric:
    """The metric with the range that `targets` tell, see `told_range`.

    >>> error = Metric(lambda p, t: (p - t).abs().mean(), name="mae", higher_is_better=False, bounds=WIDE)
    >>> found = with_told_range(error, torch.tensor([0.0, 10.0, 20.0, 50.0]))
    >>> found.bounds, found(torch.full((2,), 90.0), torch.zeros(2))
    ((0.0, 30.0), 30.0)
    """
    targets = targets.reshape(-1).double()
    if len(targets) == 0 or not bool(targets.isfinite().all()):
        raise MetricError(f"the range of metric {metric.name!r} cannot be told from targets that are no numbers")
    found = told_range(metric, targets)
    return replace(metric, fn=_InRange(metric, found), bounds=found.bounds, reads="scores")
