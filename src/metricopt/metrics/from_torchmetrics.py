"""Metrics from torchmetrics: its objects, its classes, and the functions of `torchmetrics.functional`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .._errors import ConfigError
from .._extras import require
from .._types import Reads
from .direction import settled_direction
from .from_function import name_of
from .metric import Metric


def from_torchmetrics(
    metric: Any,
    *,
    higher_is_better: bool | None = None,
    name: str | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads = "probabilities",
) -> Metric:
    """A metric from any `torchmetrics.Metric`: each call updates and computes a fresh clone.

    Args:
        metric: an instance, a class that needs no arguments, a callable that returns an instance, or a function of
            `torchmetrics.functional` (a `functools.partial` sets its options). An instance is copied and stays as
            it is. Functions state neither direction nor bounds: (0, 1) unless bounds are given.
        higher_is_better: taken from the object where it states one.
        name: for tables; the class name if None.
        bounds: taken from the object's `plot_lower_bound` and `plot_upper_bound` where it has both. They are meant
            for plots and are (0, 1) for some metrics that can be negative (Matthews, kappa): pass bounds=(-1, 1).
        reads: what its `update` takes first; regression metrics want "scores".

    Raises:
        ConfigError: not a torchmetrics metric, or its direction or bounds are stated nowhere.

    >>> import torch
    >>> from torchmetrics.classification import BinaryAccuracy
    >>> from_torchmetrics(BinaryAccuracy())(torch.tensor([2.0, -1.0]), torch.tensor([1, 1]))
    0.5
    """
    if _is_functional(metric):
        template, title, stated = None, name or name_of(metric), None
        bounds = (0.0, 1.0) if bounds is None else bounds
    else:
        template = _instance(metric)
        title, stated = name or type(template).__name__, template.higher_is_better
    if reads == "model":
        raise ConfigError(
            f"torchmetrics metric {title!r} takes predictions and targets, not a model; pass another reads="
        )
    direction = settled_direction(f"torchmetrics metric {title!r}", stated, higher_is_better)
    if bounds is None:
        bounds = _stated_bounds(template, title)

    def value(outputs: Any, targets: Any) -> Any:
        targets = targets if reads == "scores" else class_targets(targets)
        if template is None:
            return metric(outputs, targets)
        fresh = template.clone()
        fresh.reset()
        if isinstance(outputs, Tensor):
            fresh = fresh.to(outputs.device)
        fresh.update(outputs, targets)
        return fresh.compute()

    return Metric(value, name=title, higher_is_better=direction, bounds=bounds, reads=reads)


def class_targets(targets: Any) -> Any:
    """Targets that are whole numbers in a float tensor as integers, as classification metrics want them."""
    if isinstance(targets, Tensor) and targets.is_floating_point() and bool((targets == targets.round()).all()):
        return targets.long()
    return targets


def _is_functional(metric: Any) -> bool:
    return str(getattr(getattr(metric, "func", metric), "__module__", "")).startswith("torchmetrics.functional")


def _stated_bounds(template: Any, title: str) -> tuple[float, float]:
    low, high = template.plot_lower_bound, template.plot_upper_bound
    if low is None or high is None:
        raise ConfigError(
            f"torchmetrics metric {title!r} does not state finite bounds (it says {low} to {high}); "
            "pass bounds=(low, high), the range that you expect its values in"
        )
    return low, high


def _instance(metric: Any) -> Any:
    """A private copy of the metric object that was given or that the factory makes."""
    torchmetrics = require("torchmetrics", extra="torchmetrics", purpose="a metric from torchmetrics")
    made = metric
    if callable(metric) and not isinstance(metric, nn.Module):  # metric objects are modules, and callable too
        try:
            made = metric()
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"cannot make a torchmetrics metric from {metric!r}: {error}; pass an instance"
            ) from error
    if not isinstance(made, torchmetrics.Metric):
        raise ConfigError(
            f"expected a torchmetrics.Metric or a factory of one, got {type(made).__name__}; of a MetricCollection "
            "pass the one metric to optimise"
        )
    return made.clone()
