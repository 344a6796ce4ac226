"""Metrics from scikit-learn: scorers, names of scorers, and metric functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._errors import ConfigError
from .._registry import Registry
from .._types import Reads
from .direction import settled_direction
from .from_function import name_of
from .library import METRICS
from .metric import Metric
from .short_names import scorer_name

Range = tuple[float, float]

#: Metric functions whose range is finite but not (0, 1).
RANGES: dict[str, Range] = {
    "matthews_corrcoef": (-1.0, 1.0),
    "cohen_kappa_score": (-1.0, 1.0),
    "adjusted_rand_score": (-0.5, 1.0),
    "adjusted_mutual_info_score": (-1.0, 1.0),
}
#: Metric functions without a finite range; the regression metrics are told apart by their module.
UNBOUNDED = frozenset(
    {
        "log_loss",
        "hinge_loss",
        "d2_brier_score",
        "d2_log_loss_score",
        "positive_likelihood_ratio",
        "negative_likelihood_ratio",
        "class_likelihood_ratios",
        "coverage_error",
        "dcg_score",
        "mutual_info_score",
    }
)
RESPONSES: dict[str, str] = {"labels": "predict", "probabilities": "predict_proba", "scores": "decision_function"}


def from_sklearn(
    metric: Any,
    *,
    higher_is_better: bool | None = None,
    name: str | None = None,
    bounds: Range | None = None,
    reads: Reads | None = None,
) -> Metric:
    """A metric from a scikit-learn scorer, the name of one, or a metric function `(y_true, y_pred) -> number`.

    The scorer is asked in the ordinary way, `scorer(estimator, X, y)`, with an estimator that returns the labels,
    probabilities or scores at hand. Scorers such as "neg_log_loss" negate a loss so that more is better: here the
    sign goes into the direction, and the raw value is the loss itself.

    Args:
        metric: for example "f1_macro", "mae" (see `SHORT_NAMES`), `make_scorer(fbeta_score, beta=2)`, or
            `sklearn.metrics.hamming_loss`.
        higher_is_better: scorers state it; functions do not.
        name: for tables; the scorer's or function's name if None.
        bounds: range of the metric function, before a scorer's sign. (0, 1) for classification, except where
            scikit-learn documents another; unbounded functions need it given.
        reads: what a function takes: "labels", "probabilities" or "scores". Scorers state it; for functions it
            comes from scikit-learn's scorer of the same function or from the name of their second parameter.
            "scores" hands a regression metric the outputs as they are.

    Raises:
        ConfigError: an unknown name, or something above that is stated nowhere.

    >>> import torch
    >>> brier = from_sklearn("neg_brier_score")
    >>> brier.higher_is_better, brier(torch.zeros(2), torch.tensor([0, 1]))
    (False, 0.25)
    """
    if isinstance(metric, str):
        return from_sklearn(
            _scorer_named(metric), higher_is_better=higher_is_better, name=name or metric, bounds=bounds, reads=reads
        )
    if not callable(metric):
        raise ConfigError(f"expected a scorer, the name of one or a metric function, got {type(metric).__name__}")
    if is_scorer(metric):
        function, scorer = metric._score_func, metric
        stated: bool | None = metric._sign > 0
        if reads is not None:
            raise ConfigError(f"scorer {metric!r} states what it reads; leave reads= out, or pass the metric function")
    else:
        function, stated, scorer = metric, None, None
    title = name or name_of(function)
    direction = settled_direction(f"scikit-learn metric {title!r}", stated, higher_is_better)
    if scorer is None:
        scorer = _scorer_of(function, title, direction, reads)
    return Metric(
        _Asked(scorer, sign=1 if direction else -1, regression=_is_regression(function)),
        name=title,
        higher_is_better=direction,
        bounds=bounds if bounds is not None else _known_range(function, title),
    )


def rates_numbers(name: object) -> bool:
    """Whether `name` is that of a scorer of scikit-learn for regressions, or a short one for it.

    >>> rates_numbers("mae"), rates_numbers("neg_mean_squared_error"), rates_numbers("f1"), rates_numbers("no such")
    (True, True, False, False)
    """
    if not isinstance(name, str) or name in METRICS:  # those are of classes; no import to find out
        return False
    from sklearn.metrics import get_scorer, get_scorer_names

    found = scorer_name(name.strip())
    return found in get_scorer_names() and _is_regression(get_scorer(found)._score_func)


def is_scorer(metric: object) -> bool:
    """Whether it was made by `make_scorer`."""
    return hasattr(metric, "_score_func") and hasattr(metric, "_sign")


class _Asked:
    """Asks a scorer about raw scores and takes its sign off again."""

    def __init__(self, scorer: Callable[..., Any], *, sign: int, regression: bool) -> None:
        self.scorer = scorer
        self.sign = sign
        self.regression = regression

    def __call__(self, outputs: Any, targets: Any) -> Any:
        from .sklearn_stand_in import stand_in

        estimator, truth = stand_in(outputs, targets, regression=self.regression)
        value = self.scorer(estimator, None, truth)
        return self.sign * value


def _scorer_named(name: str) -> Any:
    from sklearn.metrics import get_scorer, get_scorer_names

    known: Registry[str] = Registry("scikit-learn scorer")
    for scorer in get_scorer_names():
        known.add(scorer, scorer)
    return get_scorer(known[scorer_name(name)])


def _scorer_of(function: Callable[..., Any], title: str, higher_is_better: bool, reads: Reads | None) -> Any:
    """A scorer of a bare metric function."""
    from sklearn.metrics import make_scorer

    response = RESPONSES.get(reads, None) if reads else _response_of(function)
    if reads is not None and response is None:
        raise ConfigError(f"scikit-learn metric {title!r} cannot read {reads!r}; pass one of {', '.join(RESPONSES)}")
    if response is None:
        raise ConfigError(
            f"scikit-learn metric {title!r} does not say what it reads; pass reads= one of {', '.join(RESPONSES)}"
        )
    return make_scorer(function, greater_is_better=higher_is_better, response_method=response)


def _response_of(function: Callable[..., Any]) -> Any:
    """What scikit-learn asks an estimator for before it calls `function`; None where nothing says so."""
    from inspect import signature

    from sklearn.metrics import get_scorer, get_scorer_names

    bare = _unwrapped(function)
    for scorer in map(get_scorer, get_scorer_names()):
        if scorer._score_func is bare:
            return scorer._response_method
    names = {"y_pred": "predict", "y_proba": "predict_proba", "y_prob": "predict_proba"}
    names |= {"y_score": "decision_function", "pred_decision": "decision_function"}
    found = [names[parameter] for parameter in signature(bare).parameters if parameter in names]
    return found[0] if found else None


def _known_range(function: Callable[..., Any], title: str) -> Range:
    bare = _unwrapped(function)
    name = name_of(bare)
    if name in UNBOUNDED or _is_regression(bare):
        raise ConfigError(
            f"scikit-learn metric {title!r} has no finite range; pass bounds=(low, high), the range that you expect "
            "its values in (before a scorer's sign)"
        )
    return RANGES.get(name, (0.0, 1.0))


def _is_regression(function: Callable[..., Any]) -> bool:
    return str(getattr(_unwrapped(function), "__module__", "")).startswith("sklearn.metrics._regression")


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return _unwrapped(function.func) if isinstance(function, partial) else function
