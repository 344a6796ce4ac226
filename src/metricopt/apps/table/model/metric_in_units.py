"""Metrics of numbers: asked in the user's units, with a range that is taken from the data."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from ....metrics import Metric
from ....metrics.judged import Judged, takes_beside
from ....metrics.told_range import WIDE, Range, told_range
from .target_scale import TargetScale


def metric_of_numbers(inner: Metric, scale: TargetScale, targets: Tensor) -> Metric:
    """A metric over standardised outputs and targets, its values in the user's units.

    Where the range of `inner` is `WIDE`, the targets tell it, see `told_range`.

    Args:
        inner: the metric in the user's units, with the range that is stated, or `WIDE`.
        scale: between standardised and user's units.
        targets: the rows that tell the range, standardised, `(N,)`.

    Raises:
        ConfigError: the mean is rated as good as a perfect prediction, or better, so the range cannot be told.
        MetricError: the metric fails on these rows.

    >>> import torch
    >>> error = Metric(lambda p, t: (p - t).abs().mean(), name="mae", higher_is_better=False, bounds=WIDE)
    >>> numbers = torch.tensor([0.0, 10.0, 20.0, 50.0], dtype=torch.float64)
    >>> scale = TargetScale.fit(numbers)
    >>> low, high = metric_of_numbers(error, scale, scale.to_standard(numbers)).bounds
    >>> round(low, 3), round(high, 3)
    (0.0, 30.0)
    """
    if inner.bounds != WIDE:
        return _asked_in_units(inner, scale, *inner.bounds)
    found = told_range(inner, scale.to_units(targets))
    return _asked_in_units(inner, scale, *found.bounds, found)


def _asked_in_units(inner: Metric, scale: TargetScale, low: float, high: float, ends: Range | None = None) -> Metric:
    return Metric(
        InUnits(inner, scale, ends),
        name=inner.name,
        higher_is_better=inner.higher_is_better,
        bounds=(low, high),
    )


@final
class InUnits:
    """Asks a metric about standardised outputs and targets in the user's units; values end where its range does."""

    def __init__(self, inner: Metric, scale: TargetScale, ends: Range | None = None) -> None:
        self._inner = inner
        self._scale = scale
        self._ends = ends

    @property
    def takes_beside(self) -> bool:
        return takes_beside(self._inner.fn)

    def __call__(self, outputs: Tensor, targets: Tensor, beside: Any = None) -> float:
        numbers = self._scale.to_units(targets).reshape(-1)
        judged_by = numbers if beside is None else Judged(numbers, beside)
        value = self._inner(self._scale.to_units(outputs).reshape(-1), judged_by)
        return value if self._ends is None else self._ends.clipped(value)
