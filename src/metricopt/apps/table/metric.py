"""The metric of a job on a table: asked about class numbers, or about numbers in the units of the column."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from ..._digest import digest
from ..._errors import ConfigError, MetricError
from ..._random import generator
from ...metrics import METRICS, Constraint, Metric, constrained, metric_from_spec
from ...metrics.constrained import split_limit
from ...metrics.external.from_spec import direction_of_limit, in_options
from ...metrics.from_sklearn import rates_numbers
from ...metrics.judged import takes_beside
from ...runtime import MetricCache
from .model import WIDE, TargetScale, metric_of_numbers
from .parts import TableParts
from .request import FAR, TableRequest
from .target import Target


@final
@dataclass(frozen=True, kw_only=True)
class TableMetric:
    """What a job on a table asks.

    Args:
        metric: of the outputs of the network; those of a regression are standardised.
        notes: what there is to say about it, a sentence each.
        first_call: of a program or a server; other metrics have been tried already.
    """

    metric: Metric
    notes: tuple[str, ...] = ()
    first_call: FirstCall | None = None


def table_metric(request: TableRequest, target: Target, parts: TableParts) -> TableMetric:
    """The metric that was asked for, tried once on made-up scores, so that a mistake shows before a network is trained.

    Raises:
        ConfigError: there is no such metric, it does not go with the target, or it fails; one line says why.
    """
    found = _one_metric(request, target, parts)
    if request.subject_to:
        found = replace(found, metric=constrained(found.metric, *_limits(request, target, parts)))
    if request.beside and not takes_beside(found.metric.fn):
        raise ConfigError(
            f"metric {found.metric.name!r} takes no third argument, so nobody would be told {request.beside[0]!r}; "
            "leave --beside out, or give a function of scores, targets and what stands beside them"
        )
    return found


def _limits(request: TableRequest, target: Target, parts: TableParts) -> list[Constraint]:
    limits = []
    for text in request.subject_to:
        name, at_least, limit = split_limit(text)
        of = replace(
            request,
            metric=name,
            higher_is_better=direction_of_limit(name, at_least),
            bounds=None,
            reads=None,
            metric_timeout=None,
            metric_retries=None,
            metric_headers=(),
            workers=1,
            subject_to=(),
        )
        limits.append(Constraint(metric=_one_metric(of, target, parts).metric, at_least=at_least, limit=limit))
    return limits


def _one_metric(request: TableRequest, target: Target, parts: TableParts) -> TableMetric:
    """The metric itself, or one that is limited."""
    plain = _of_classes(request, target) if target.labels is not None else _of_numbers(request, target)
    if plain.reads == "model":
        raise ConfigError(f"metric {plain.name!r} reads the whole model; on a table it must read scores and targets")
    if takes_beside(plain.fn) and not request.beside:
        raise ConfigError(
            f"metric {plain.name!r} needs a third argument; name the columns that it is told of each row with --beside"
        )
    far, stated = request.metric.startswith(FAR), request.bounds is not None
    first_call = None
    if far:
        rows = target.values[parts.search]
        first_call = FirstCall(plain, _made_up(target, rows), rows, any_value=stated)
    else:
        _asked(replace(plain, bounds=WIDE) if stated else plain, _made_up(target, target.values), target.judged_by)
    metric, notes = plain, _notes_on_sign(plain)
    scale = target.meaning(parts.train)
    if isinstance(scale, TargetScale):
        metric = _in_units(plain, scale, target.values[parts.train])
        notes += _notes_on_range(plain, metric)
    return TableMetric(metric=metric, notes=notes, first_call=first_call)


def _of_classes(request: TableRequest, target: Target) -> Metric:
    if rates_numbers(request.metric):
        raise ConfigError(
            f"metric {request.metric!r} rates numbers, but the target {target.name!r} holds classes; name one of "
            "`metricopt metrics`, or use --task regression"
        )
    return _named(request, request.bounds)


def _of_numbers(request: TableRequest, target: Target) -> Metric:
    """The metric in the units of the column; its range is `WIDE` where nothing states one."""
    _refuse_metric_of_classes(request.metric, target)
    if request.bounds is not None or request.metric.startswith(FAR):
        metric = _named(request, request.bounds)
    else:
        try:
            metric = _named(request, WIDE)
        except ConfigError:  # it states its own range, or the mistake is another one and is told again
            metric = _named(request, None)
    if metric.reads in ("labels", "probabilities"):
        todo = "leave --reads out" if request.reads else "give --reads scores"
        raise ConfigError(f"a metric of numbers reads them as they are, not as {metric.reads}; {todo}")
    return metric


def _named(request: TableRequest, bounds: tuple[float, float] | None) -> Metric:
    return metric_from_spec(
        request.metric,
        higher_is_better=request.higher_is_better,
        bounds=bounds,
        reads=request.reads,
        timeout=request.metric_timeout,
        retries=request.metric_retries,
        headers=request.headers,
    )


def _refuse_metric_of_classes(text: str, target: Target) -> None:
    bare = text.strip().partition("(")[0]
    classes = bare in METRICS
    if not classes and ":" not in text and not text.endswith(".py"):
        classes = getattr(metric_from_spec(text, bounds=WIDE).fn, "regression", True) is False
    if classes:
        raise ConfigError(
            f"metric {text!r} rates classes, but the target {target.name!r} holds "
            f"{len(target.values.unique())} different numbers; name a metric of numbers such as mae, another target, "
            "or use --task classification"
        )


def _in_units(plain: Metric, scale: TargetScale, values: Tensor) -> Metric:
    """The metric of standardised outputs; the training rows `values` tell a range that nothing states."""
    if plain.bounds == WIDE and takes_beside(plain.fn):
        raise ConfigError(
            f"the range of metric {plain.name!r} cannot be told from the targets alone; state it with --bounds LOW HIGH"
        )
    if plain.bounds == WIDE:
        _refuse_moving_range(plain, values)
    try:
        return metric_of_numbers(plain, scale, scale.to_standard(values))
    except ConfigError as error:
        raise ConfigError(in_options(str(error))) from error
    except MetricError as error:
        raise ConfigError(
            f"the range of metric {plain.name!r} cannot be told from the data, since it does not rate the mean as the "
            f"prediction of every row; state it with --bounds LOW HIGH ({error})"
        ) from error


def _refuse_moving_range(plain: Metric, values: Tensor) -> None:
    """A range of the training rows is that of others only where a perfect prediction is worth the same on all rows."""
    first, second = (_asked(plain, half, half) for half in values.tensor_split(2))
    if not math.isclose(first, second, rel_tol=1e-6, abs_tol=1e-9):
        raise ConfigError(
            f"metric {plain.name!r} rates a perfect prediction {first:.6g} on some rows and {second:.6g} on others: so "
            "its range cannot be told from the data; state it with --bounds LOW HIGH"
        )


def _notes_on_sign(plain: Metric) -> tuple[str, ...]:
    if not plain.name.startswith("neg_") or plain.higher_is_better:
        return ()
    return (f"{plain.name} is shown as {plain.name.removeprefix('neg_')}, without its sign: lower is better.",)


def _notes_on_range(plain: Metric, metric: Metric) -> tuple[str, ...]:
    if plain.bounds != WIDE:
        return ()
    worst, best = metric.bounds if metric.higher_is_better else metric.bounds[::-1]
    told = f"{metric.name} goes from {best:.4g}, a perfect prediction, to {worst:.4g}, twice as far from it as the mean"
    return (f"{told}; what is worse counts as that (--bounds states another range).",)


def _made_up(target: Target, rows: Tensor) -> Tensor:
    """Scores that mean nothing, `(N,)` or `(N, K)`; numbers half-way from the mean to the truth, which no metric
    minds."""
    if target.labels is None:
        return (rows + rows.mean()) / 2
    classes, count = len(target.labels), len(rows)
    return torch.randn((count, classes) if classes > 2 else (count,), generator=generator("a metric is tried"))


def _asked(metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    try:
        return metric(outputs, targets)
    except MetricError as error:
        raise ConfigError(in_options(str(error))) from error


@final
class FirstCall:
    """One call on made-up scores: a metric that always fails is found before anything is trained.

    It is no call of the budget. It is made before a folder is, so that a failure leaves none; its answer is then kept
    there, so that a run that goes on does not call again.

    Args:
        metric: as the search asks it.
        outputs, targets: what it is asked about.
        any_value: whether its range was stated: that may well exclude what made-up scores get.
    """

    def __init__(self, metric: Metric, outputs: Tensor, targets: Tensor, *, any_value: bool) -> None:
        self._metric = metric
        self._asked = (outputs, targets)
        self._any_value = any_value
        self._answer: float | None = None

    def make(self) -> float:
        """The answer; the metric is asked once.

        Raises:
            MetricError: it fails.
            ConfigError: its value lies outside a range that nobody stated.
        """
        if self._answer is None:
            answer = replace(self._metric, bounds=WIDE)(*self._asked)
            if not self._any_value:
                self._check_range(answer)
            self._answer = answer
        return self._answer

    def keep(self, cache: MetricCache) -> None:
        """Keep the answer, or make the call where neither this process nor the folder has one."""
        cache.of(f"first call {digest(self._asked)}", self.make)

    def _check_range(self, answer: float) -> None:
        try:
            self._metric.checked(answer)
        except MetricError as error:
            raise ConfigError(in_options(str(error))) from error
