"""Whatever a user calls a metric, as a `Metric`."""

from __future__ import annotations

import difflib
from typing import Any

from .._errors import ConfigError
from .._types import Reads
from .direction import settled_direction
from .from_function import from_function, name_of
from .from_sklearn import from_sklearn, is_scorer
from .from_torchmetrics import from_torchmetrics
from .library import METRICS, get_metric
from .metric import Metric
from .short_names import SHORT_NAMES


def as_metric(
    metric: Any,
    *,
    higher_is_better: bool | None = None,
    name: str | None = None,
    bounds: tuple[float, float] | None = None,
    reads: Reads | None = None,
) -> Metric:
    """A `Metric` from a name, a Metric, a torchmetrics or scikit-learn object, or any callable.

    | given                                           | becomes                                              |
    |-------------------------------------------------|------------------------------------------------------|
    | `Metric`                                        | itself                                               |
    | name in `METRICS` (or an alias)                 | `get_metric(name)`                                   |
    | name of a scikit-learn scorer, or a short one   | `from_sklearn(name)`; the short ones: `SHORT_NAMES`  |
    | `torchmetrics.Metric`, or its class             | `from_torchmetrics`                                  |
    | scorer, or function of `sklearn.metrics`        | `from_sklearn`                                       |
    | other callable                                  | `from_function`; with reads="model" of the model     |

    Direction, name, bounds and reads may be given where the object leaves them open. The direction is never
    guessed: where the object does not state it, `higher_is_better` must be given.

    Raises:
        ConfigError: nothing above fits, the direction is missing, or something given contradicts the object.

    >>> as_metric("f1").higher_is_better, as_metric("neg_brier_score").higher_is_better
    (True, False)
    """
    given: dict[str, Any] = {"name": name, "bounds": bounds, "reads": reads}
    given = {key: value for key, value in given.items() if value is not None}
    if isinstance(metric, str):
        if metric not in METRICS:
            _check_known(metric)
            return from_sklearn(metric, higher_is_better=higher_is_better, **given)
        metric = get_metric(metric)
    if isinstance(metric, Metric):
        return _unchanged(metric, higher_is_better, given)
    if _comes_from(metric, "torchmetrics"):
        return from_torchmetrics(metric, higher_is_better=higher_is_better, **given)
    if is_scorer(metric) or _comes_from(metric, "sklearn"):
        return from_sklearn(metric, higher_is_better=higher_is_better, **given)
    if not callable(metric):
        raise ConfigError(
            f"cannot make a metric from a {type(metric).__name__}; give a name, a callable (outputs, targets) -> "
            "number, a torchmetrics.Metric, or a scikit-learn scorer"
        )
    direction = settled_direction(f"metric {name or name_of(metric)!r}", None, higher_is_better)
    return from_function(metric, higher_is_better=direction, **given)


def _unchanged(metric: Metric, higher_is_better: bool | None, given: dict[str, Any]) -> Metric:
    """The metric itself, if nothing that was given contradicts it."""
    settled_direction(f"metric {metric.name!r}", metric.higher_is_better, higher_is_better)
    for key, value in given.items():
        if getattr(metric, key) != (tuple(value) if key == "bounds" else value):
            raise ConfigError(
                f"metric {metric.name!r} has {key}={getattr(metric, key)!r}, but {key}={value!r} was passed; leave it "
                "out, or make a new Metric with dataclasses.replace"
            )
    return metric


def _check_known(name: str) -> None:
    from sklearn.metrics import get_scorer_names

    scorers = get_scorer_names()
    if name not in scorers and name not in SHORT_NAMES:
        close = difflib.get_close_matches(name, [*METRICS, *METRICS.aliases, *SHORT_NAMES, *scorers], n=1)
        raise ConfigError(
            f"no metric named {name!r}"
            + (f"; did you mean {close[0]!r}? There are: " if close else "; there are: ")
            + f"{', '.join(METRICS)}, of numbers {', '.join(SHORT_NAMES)}, and the scorers of scikit-learn"
        )


def _comes_from(metric: object, package: str) -> bool:
    """Whether an object, its class or (for partials) its function was defined in `package`; nothing is imported."""
    bare = getattr(metric, "func", metric)
    classes = bare.__mro__ if isinstance(bare, type) else type(bare).__mro__
    modules = [getattr(bare, "__module__", None), *(c.__module__ for c in classes)]
    return any(str(module).split(".")[0] == package for module in modules)
