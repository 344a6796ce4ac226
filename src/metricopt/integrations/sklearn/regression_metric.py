"""Whatever a user of a regressor calls a metric, as a `Metric` of standardised outputs and targets."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, final

from torch import Tensor

from ..._errors import ConfigError
from ...apps.table.model import WIDE, TargetScale, metric_of_numbers
from ...metrics import SHORT_NAMES, Metric, as_metric
from ...metrics.from_function import name_of
from ...metrics.from_sklearn import is_scorer
from .wanted_metric import Asked, refuse_model, scorer_named


def regressor_metric(
    metric: Any,
    scale: TargetScale,
    targets: Tensor,
    *,
    higher_is_better: bool | None,
    bounds: tuple[float, float] | None,
) -> Metric:
    """The metric of a regressor, see `metric_of_numbers`; without `bounds` its range is taken from the data.

    Args:
        metric: a short name, the name of a scikit-learn scorer, a scorer, a metric function, or a callable of
            predictions and targets.
        scale: between standardised and user's units.
        targets: the rows that it will be asked about, standardised, `(N,)`.
        higher_is_better, bounds: where the metric does not say so itself.

    Raises:
        ConfigError: no such metric, no direction, or a mean that is rated as good as a perfect prediction.
    """
    inner = _plain(metric, higher_is_better, bounds)
    refuse_model(inner)
    return metric_of_numbers(inner, scale, targets)


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
        return Metric(ScorerOfNumbers(metric), name=name, higher_is_better=direction, bounds=bounds or WIDE)
    stated: dict[str, Any] = {"higher_is_better": higher_is_better, "bounds": bounds or WIDE}
    found = as_metric(metric, **stated)
    return replace(found, fn=Asked(found, metric, **stated), reads="scores") if found.reads != "model" else found


def _named(name: str) -> Any:
    """The scorer of that name; raises ConfigError where there is none, or where it rates classes."""
    from sklearn.metrics import get_scorer_names

    scorers = [one for one in get_scorer_names() if "_regression" in scorer_named(one)._score_func.__module__]
    known = [*SHORT_NAMES, *sorted(one for one in scorers if one not in SHORT_NAMES)]
    if name in known:
        return scorer_named(name)
    close = difflib.get_close_matches(name, known, n=1)
    raise ConfigError(
        f"no metric of numbers is named {name!r}"
        + (f"; did you mean {close[0]!r}? There are: " if close else "; there are: ")
        + ", ".join(known)
    )


@final
class ScorerOfNumbers:
    """Asks a scorer about predicted numbers and takes its sign off again."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        from .named_outputs import NumberOutputs

        return float(self._scorer(NumberOutputs(outputs.numpy()), None, targets.numpy()) * self._scorer._sign)
