"""Whatever a user of an estimator calls a metric, as a `Metric` of raw scores and class numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..._errors import ConfigError
from ..._types import Reads
from ...metrics import METRICS, Metric, as_metric, from_sklearn
from ...metrics.constrained import Subject
from ...metrics.from_sklearn import is_scorer, rates_numbers
from ...metrics.short_names import scorer_name


def classifier_metric(
    metric: Any,
    classes: NDArray[Any],
    *,
    higher_is_better: bool | None,
    bounds: tuple[float, float] | None,
    reads: Reads | None,
) -> Metric:
    """The metric of a classifier: see `as_metric`; a scorer sees the user's own labels.

    Args:
        metric: a name of this library or of a scikit-learn scorer, a scorer, a metric function, or a callable of
            scores and class numbers.
        classes: the user's labels, ascending.
        higher_is_better, bounds, reads: where the metric does not say so itself.

    Raises:
        ConfigError: no such metric, or something that it needs is stated nowhere.
    """
    if rates_numbers(metric):
        raise ConfigError(
            f"metric {metric!r} rates numbers, and a classifier predicts classes; name one such as f1, or use "
            "MetricOptRegressor"
        )
    if isinstance(metric, str) and metric not in METRICS:
        found = as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
        return replace(found, fn=_of_labels(scorer_named(metric), classes))
    if is_scorer(metric):
        found = from_sklearn(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
        return replace(found, fn=_of_labels(metric, classes))
    found = as_metric(metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
    refuse_model(found)
    if isinstance(found.fn, Subject):  # its parts are looked at, for the limits
        return found
    asked = Asked(found, metric, higher_is_better=higher_is_better, bounds=bounds, reads=reads)
    return replace(found, fn=asked, reads="scores")


def moved_by_shift(metric: Metric) -> bool:
    """Whether adding numbers to the scores of classes may change the value: not where only their order counts.

    For a function of the user's own nothing says so; then it may.
    """
    if isinstance(metric.fn, ScorerOfClasses):
        return metric.fn.reads_labels
    name = metric.name.partition("(")[0]
    return name not in METRICS or METRICS[name].card.depends_on == "labels"


def refuse_model(metric: Metric) -> None:
    """Raise ConfigError for a metric of the whole model: an estimator rates predictions."""
    if metric.reads == "model":
        raise ConfigError(
            f"metric {metric.name!r} reads the whole model, but an estimator rates predictions; give a metric of "
            "outputs and targets, or call metricopt.optimize on a network of your own"
        )


def scorer_named(name: str) -> Any:
    from sklearn.metrics import get_scorer

    return get_scorer(scorer_name(name))


@final
class Asked:
    """A metric beside what the user gave for it: pickled as the latter, and made anew when it is first asked then."""

    def __init__(self, made: Metric, spec: Any, **stated: Any) -> None:
        self._made: Metric | None = made
        self._spec = spec
        self._stated = stated

    def __call__(self, outputs: Any, targets: Any) -> float:
        if self._made is None:
            self._made = as_metric(self._spec, **self._stated)
        return self._made(outputs, targets)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None}


@final
class ScorerOfClasses:
    """Asks a scorer about raw scores, in the user's own labels, and takes its sign off again."""

    def __init__(self, scorer: Any, classes: NDArray[Any]) -> None:
        self._scorer = scorer
        self._classes = classes

    @property
    def reads_labels(self) -> bool:
        """Whether it asks for predicted labels, not for probabilities or scores."""
        return bool(self._scorer._response_method == "predict")

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        from .named_outputs import NamedOutputs

        estimator = NamedOutputs(outputs.detach().cpu(), self._classes)
        truth = self._classes[targets.detach().cpu().long().numpy()]
        return float(self._scorer(estimator, None, truth) * self._scorer._sign)


def _of_labels(scorer: Any, classes: NDArray[Any]) -> ScorerOfClasses:
    """The scorer with the labels that it can work with.

    A scorer of the positive class of two that does not say which one it is means the label 1; where there is no such
    label, the second class is meant, as in this library.
    """
    says = scorer._kwargs.get("pos_label") is not None or len(classes) != 2
    if not says and not bool(np.any(classes == 1)):
        classes = np.arange(2)
    return ScorerOfClasses(scorer, classes)
