"""Metrics of numbers: in the user's units, with a range that is taken from the data."""

from __future__ import annotations

import difflib
import math
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from ..._errors import ConfigError
from ...metrics import Metric, as_metric
from ...metrics.from_function import name_of
from ...metrics.from_sklearn import is_scorer
from ...tabular import TargetScale
from .wanted_metric import Asked, refuse_model, scorer_named

#: A range that nothing leaves, for a metric whose own one is not known yet.
_WIDE = (-1e300, 1e300)


def regressor_metric(
    metric: Any,
    scale: TargetScale,
    targets: Tensor,
    *,
    higher_is_better: bool | None,
    bounds: tuple[float, float] | None,
) -> Metric:
    """The metric of a regressor, over standardised outputs and targets, its values in the user's units.

    A search compares utilities in [0, 1], so the values need a finite range, and few metrics of numbers have one.
    Without `bounds` the range goes from the value of a perfect prediction to one that is twice as far from it as the
    value of predicting the mean for every row: R^2 gets (-1, 1), an error (0, twice that of the mean). What is worse
    still counts as the end of the range.

    Args:
        metric: the name of a scikit-learn scorer, a scorer, a metric function, or a callable of predictions and targets.
        scale: between standardised and user's units.
        targets: the rows that it will be asked about, standardised, `(N,)`.
        higher_is_better, bounds: where the metric does not say so itself.

    Raises:
        ConfigError: no such metric, no direction, or a mean that is rated as good as a perfect prediction.
    """
    inner = _plain(metric, higher_is_better, bounds)
    refuse_model(inner)
    if inner.bounds != _WIDE:
        return _in_units(inner, scale, *inner.bounds)
    truth = scale.to_units(targets)
    perfect = inner(truth, truth)
    typical = inner(torch.full_like(truth, scale.center), truth)
    worst = typical + (typical - perfect)
    if bool((targets == targets[0]).all()):  # then nothing is worse than the mean, and any range will do
        worst = perfect - 1.0 if inner.higher_is_better else perfect + 1.0
    elif math.isclose(perfect, typical) or (perfect > typical) is not inner.higher_is_better:
        raise ConfigError(
            f"metric {inner.name!r} rates a perfect prediction {perfect:.6g} and the mean of the targets {typical:.6g}, "
            f"with higher_is_better={inner.higher_is_better}: so its range cannot be told from the data; correct the "
            "direction, or state the range with bounds=(low, high)"
        )
    return _in_units(inner, scale, min(perfect, worst), max(perfect, worst), worst)


def _plain(metric: Any, higher_is_better: bool | None, bounds: tuple[float, float] | None) -> Metric:
    """The metric in the user's units, with a wide range where no other is stated."""
    if isinstance(metric, Metric):
        return as_metric(metric, higher_is_better=higher_is_better, bounds=bounds)
    title = metric if isinstance(metric, str) else ""
    if title:
        metric = _named(title)
    if is_scorer(metric):
        direction = metric._sign > 0
        if higher_is_better is not None and higher_is_better is not direction:
            raise ConfigError(
                f"scorer {metric!r} states higher_is_better={direction}, but higher_is_better={higher_is_better} was "
                "passed; leave it out"
            )
        name = title or name_of(metric._score_func)
        return Metric(ScorerOfNumbers(metric), name=name, higher_is_better=direction, bounds=bounds or _WIDE)
    stated: dict[str, Any] = {"higher_is_better": higher_is_better, "bounds": bounds or _WIDE}
    found = as_metric(metric, **stated)
    return replace(found, fn=Asked(found, metric, **stated), reads="scores") if found.reads != "model" else found


def _named(name: str) -> Any:
    """The scorer of that name; raises ConfigError where there is none, or where it rates classes."""
    from sklearn.metrics import get_scorer_names

    known = {one for one in get_scorer_names() if "_regression" in scorer_named(one)._score_func.__module__}
    if name in known:
        return scorer_named(name)
    close = difflib.get_close_matches(name, known, n=1)
    raise ConfigError(
        f"no metric of numbers is named {name!r}"
        + (f"; did you mean {close[0]!r}? There are: " if close else "; there are: ")
        + ", ".join(sorted(known))
    )


def _in_units(inner: Metric, scale: TargetScale, low: float, high: float, worst: float | None = None) -> Metric:
    return Metric(
        InUnits(inner, scale, worst),
        name=inner.name,
        higher_is_better=inner.higher_is_better,
        bounds=(low, high),
    )


@final
class InUnits:
    """Asks a metric about standardised outputs and targets in the user's units; `worst` is where its range ends."""

    def __init__(self, inner: Metric, scale: TargetScale, worst: float | None) -> None:
        self._inner = inner
        self._scale = scale
        self._worst = worst

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        value = self._inner(self._scale.to_units(outputs).reshape(-1), self._scale.to_units(targets).reshape(-1))
        if self._worst is None:
            return value
        return max(value, self._worst) if self._inner.higher_is_better else min(value, self._worst)


@final
class ScorerOfNumbers:
    """Asks a scorer about predicted numbers and takes its sign off again."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        from .named_outputs import NumberOutputs

        return float(self._scorer(NumberOutputs(outputs.numpy()), None, targets.numpy()) * self._scorer._sign)
