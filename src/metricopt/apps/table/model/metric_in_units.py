"""Metrics of numbers: asked in the user's units, with a range that is taken from the data."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from ...._errors import ConfigError
from ....metrics import Metric
from .target_scale import TargetScale

#: A range that nothing leaves, for a metric whose own one is not known.
WIDE = (-1e300, 1e300)


def metric_of_numbers(inner: Metric, scale: TargetScale, targets: Tensor) -> Metric:
    """A metric over standardised outputs and targets, its values in the user's units.

    A search compares utilities in [0, 1], so the values need a finite range, and few metrics of numbers have one.
    Where the range of `inner` is `WIDE`, it goes from the value of a perfect prediction to one that is twice as far
    from it as the value of predicting the mean for every row: R^2 gets (-1, 1), an error (0, twice that of the mean).
    What is worse still counts as the end of the range.

    Args:
        inner: the metric in the user's units, with the range that is stated, or `WIDE`.
        scale: between standardised and user's units.
        targets: the rows that tell the range, standardised, `(N,)`.

    Raises:
        ConfigError: the mean is rated as good as a perfect prediction, or better, so the range cannot be told.
        MetricError: the metric fails on these rows.

    >>> error = Metric(lambda p, t: (p - t).abs().mean(), name="mae", higher_is_better=False, bounds=WIDE)
    >>> numbers = torch.tensor([0.0, 10.0, 20.0, 50.0], dtype=torch.float64)
    >>> scale = TargetScale.fit(numbers)
    >>> low, high = metric_of_numbers(error, scale, scale.to_standard(numbers)).bounds
    >>> round(low, 3), round(high, 3)
    (0.0, 30.0)
    """
    if inner.bounds != WIDE:
        return _asked_in_units(inner, scale, *inner.bounds)
    truth = scale.to_units(targets)
    perfect = inner(truth, truth)
    typical = inner(torch.full_like(truth, scale.center), truth)
    worst = typical + (typical - perfect)
    if bool((targets == targets[0]).all()):  # then nothing is worse than the mean, and any range will do
        worst = perfect - 1.0 if inner.higher_is_better else perfect + 1.0
    elif math.isclose(perfect, typical) or (perfect > typical) is not inner.higher_is_better:
        raise ConfigError(
            f"metric {inner.name!r} rates a perfect prediction {perfect:.6g} and the mean of the targets "
            f"{typical:.6g}, "
            f"with higher_is_better={inner.higher_is_better}: so its range cannot be told from the data; correct the "
            "direction, or state the range with bounds=(low, high)"
        )
    return _asked_in_units(inner, scale, min(perfect, worst), max(perfect, worst), worst)


def _asked_in_units(inner: Metric, scale: TargetScale, low: float, high: float, worst: float | None = None) -> Metric:
    return Metric(
        InUnits(inner, scale, worst),
        name=inner.name,
        higher_is_better=inner.higher_is_better,
        bounds=(low, high),
    )


@final
class InUnits:
    """Asks a metric about standardised outputs and targets in the user's units; `worst` is where its range ends."""

    def __init__(self, inner: Metric, scale: TargetScale, worst: float | None = None) -> None:
        self._inner = inner
        self._scale = scale
        self._worst = worst

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        value = self._inner(self._scale.to_units(outputs).reshape(-1), self._scale.to_units(targets).reshape(-1))
        if self._worst is None:
            return value
        return max(value, self._worst) if self._inner.higher_is_better else min(value, self._worst)
