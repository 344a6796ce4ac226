"""How a list of questions reaches a metric: in turn or side by side, and never twice where an answer is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import cloudpickle
from torch import nn

from ._digest import digest, digest_of_model
from ._errors import ConfigError, JobFailed, MetricError
from .metrics import Meter, Metric
from .runtime import Executor, MetricCache

#: What a metric is called with: (outputs, targets), or (model,).
Question = tuple[Any, ...]


class Ask(ABC):
    """Rates a list of questions. Calls are charged before they are made, and values come back in order."""

    @abstractmethod
    def __call__(self, metric: Metric, questions: Sequence[Question], meter: Meter) -> Iterator[float]:
        """Raw values in the order of the questions, each as soon as it and those before it are there.

        Raises:
            BudgetExhausted: before the call that `meter` does not cover.
            MetricError: a call failed. Values before it were given; it is charged.
        """

    def at_once(self, least: int) -> int:
        """How many questions are worth asking together."""
        return least


@final
class AskInTurn(Ask):
    """One after the other, in this process."""

    def __call__(self, metric: Metric, questions: Sequence[Question], meter: Meter) -> Iterator[float]:
        for question in questions:
            meter.spend(1)
            yield rate(metric, question)


@final
class AskOnExecutor(Ask):
    """Side by side on `executor`, whose workers get the metric and the question.

    Args:
        executor: serial, threads, processes or Ray, see `metricopt.runtime`.
        workers: how many calls it makes at once; so many questions are asked together.
    """

    def __init__(self, executor: Executor, *, workers: int) -> None:
        self._executor = executor
        self._workers = workers

    def at_once(self, least: int) -> int:
        return max(least, 4 * self._workers)  # so that no worker waits for the slowest of a round

    def __call__(self, metric: Metric, questions: Sequence[Question], meter: Meter) -> Iterator[float]:
        futures = []
        for question in questions[: meter.affordable(len(questions))]:
            meter.spend(1)
            futures.append(self._executor.submit(rate, metric, question))
        try:
            for future in futures:
                yield _value(metric, future.result)
        finally:
            for future in futures:
                future.cancel()
        meter.spend(len(questions) - len(futures))  # raises where some could not be asked


@final
class AskOnce(Ask):
    """In front of another `Ask`: what a stopped run was told is not asked again. Every answer is kept in order.

    Args:
        ask: asks what is not known.
        cache: of this run; a question is the digest of what the metric is asked about.
        told: called after every answer, an old one too.
    """

    def __init__(self, ask: Ask, cache: MetricCache, told: Callable[[], None]) -> None:
        self._ask = ask
        self._cache = cache
        self._told = told

    def at_once(self, least: int) -> int:
        return self._ask.at_once(least)

    def __call__(self, metric: Metric, questions: Sequence[Question], meter: Meter) -> Iterator[float]:
        names = [name_of(question) for question in questions]
        known = self._cache.has(names)
        fresh = self._ask(metric, [q for q, old in zip(questions, known, strict=True) if not old], meter)
        for name, old in zip(names, known, strict=True):
            if old:
                meter.spend(1)
            answer = self._cache.of(name, lambda: next(fresh))
            self._told()
            yield answer


ask_in_turn = AskInTurn()


def rate(metric: Metric, question: Question) -> float:
    """The raw value of one question; at module level, so that it travels to workers."""
    return metric.measure_model(*question) if metric.reads == "model" else metric(*question)


def check_travels(metric: Metric, executor: str) -> None:
    """Raise ConfigError where `metric` cannot be sent to another process."""
    try:
        cloudpickle.dumps(metric)
    except Exception as error:
        raise ConfigError(
            f"metric {metric.name!r} cannot be sent to the workers of executor={executor!r} ({type(error).__name__}: "
            f'{error}); let it hold no open files, locks or connections, or use executor="threads" for a metric that '
            "waits for something outside Python"
        ) from error


def name_of(question: Question) -> str:
    """Sixteen hex digits over all that a metric is asked about."""
    if isinstance(question[0], nn.Module):
        return digest_of_model(question[0])
    return digest(question)


def _value(metric: Metric, result: Callable[[], float]) -> float:
    try:
        return result()
    except JobFailed as error:
        cause = error.__cause__
        if isinstance(cause, MetricError):
            raise cause from error
        raise MetricError(f"a call of metric {metric.name!r} failed in a worker: {error}") from error
