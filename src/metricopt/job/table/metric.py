"""The metric of a job on a table: asked about class numbers, or about numbers in the units of the column."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from ..._errors import ConfigError, MetricError
from ..._random import generator
from ...metrics import ALIASES, METRICS, Metric, metric_from_spec
from ...tabular import TargetScale
from .request import TableRequest
from .target import Target

#: A range that nothing leaves, to look at a metric whose own one is not known.
_WIDE = (-1e300, 1e300)
#: What is asked by starting a program or over a network is not asked for nothing.
_FAR = ("cmd:", "http://", "https://")


def table_metric(request: TableRequest, target: Target) -> Metric:
    """The metric that was asked for, tried once on made-up scores, so that a mistake shows before a network is trained.

    Raises:
        ConfigError: there is no such metric, it does not go with the target, or it fails; one line says why.
    """
    if target.labels is None:
        _refuse_metric_of_classes(request.metric, target)
        metric = _with_range(request, target)
        if metric.reads in ("labels", "probabilities"):
            raise ConfigError(f"a metric of numbers reads them as they are, not as {metric.reads}; leave --reads out")
    else:
        metric = _named(request)
        if getattr(metric.fn, "regression", False):
            raise ConfigError(
                f"metric {request.metric!r} rates numbers, but the target {target.name!r} holds classes; name one of "
                "`metricopt metrics`, or use --task regression"
            )
    if metric.reads == "model":
        raise ConfigError(f"metric {metric.name!r} reads the whole model; on a table it must read scores and targets")
    if not request.metric.startswith(_FAR):
        _try(metric, target, stated=request.bounds is not None)
    return metric


@final
class InUnits:
    """Asks the function of a metric about standardised outputs and targets in the units of the column."""

    def __init__(self, metric: Metric, scale: TargetScale) -> None:
        self._fn = metric.fn
        self._scale = scale

    def __call__(self, outputs: Tensor, targets: Tensor) -> object:
        return self._fn(self._scale.to_units(outputs).reshape(-1), self._scale.to_units(targets).reshape(-1))


def in_units(metric: Metric, scale: TargetScale) -> Metric:
    """`metric` for a network with standardised outputs."""
    return replace(metric, fn=InUnits(metric, scale), reads="scores")


def _named(request: TableRequest, bounds: tuple[float, float] | None = None) -> Metric:
    return metric_from_spec(
        request.metric,
        higher_is_better=request.higher_is_better,
        bounds=request.bounds if bounds is None else bounds,
        reads=request.reads,
    )


def _refuse_metric_of_classes(text: str, target: Target) -> None:
    bare = text.strip().partition("(")[0]
    classes = ALIASES.get(bare, bare) in METRICS
    if not classes and ":" not in text and not text.endswith(".py"):
        classes = getattr(metric_from_spec(text, bounds=_WIDE).fn, "regression", True) is False
    if classes:
        raise ConfigError(
            f"metric {text!r} rates classes, but the target {target.name!r} holds "
            f"{len(target.values.unique())} different numbers; name a metric of numbers such as "
            "neg_mean_absolute_error, another target, or use --task classification"
        )


def _with_range(request: TableRequest, target: Target) -> Metric:
    """The metric of a regression; without a range, the error proposes one: up to twice the error of the mean."""
    if request.bounds is not None or request.metric.startswith(_FAR):
        return _named(request)
    try:
        metric = _named(request)
    except ConfigError as error:
        try:
            metric = _named(request, _WIDE)
        except ConfigError:
            raise error from None
    else:
        if metric.bounds != (0.0, 1.0) or ":" not in request.metric:
            return metric
    wide = replace(metric, bounds=_WIDE)
    perfect, mean = (_asked(wide, outputs, target.values) for outputs in (target.values, _mean(target.values)))
    low, high = sorted((perfect, 2 * mean - perfect))
    if metric.bounds == (0.0, 1.0) and low >= 0 and high <= 1:
        return metric
    like = (
        f", for example --bounds {_rounded(low)} {_rounded(high)}" if math.isfinite(high - low) and low < high else ""
    )
    raise ConfigError(
        f"metric {metric.name!r} does not state its range, which a search needs; give it as --bounds LOW HIGH{like}"
    )


def _try(metric: Metric, target: Target, *, stated: bool) -> None:
    """Ask once about scores that mean nothing; a stated range may well exclude what they get."""
    probe = replace(metric, bounds=_WIDE) if stated else metric
    count = len(target.values)
    if target.labels is None:
        outputs = _mean(target.values)
    else:
        classes = len(target.labels)
        outputs = torch.randn((count, classes) if classes > 2 else (count,), generator=generator("a metric is tried"))
    _asked(probe, outputs, target.values)


def _asked(metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    try:
        return metric(outputs, targets)
    except MetricError as error:
        raise ConfigError(str(error)) from error


def _mean(values: Tensor) -> Tensor:
    return torch.full_like(values, float(values.mean()))


def _rounded(value: float) -> str:
    return f"{value:.3g}" if value else "0"
