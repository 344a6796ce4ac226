"""The search for a front: each metric by itself, then compromises, all on one memory; what it is worth on holdout."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .._random import derive_seed, generator
from ..asking import Ask, AskOnce, Question, ask_in_turn
from ..methods import MetricOpt, MetricOptConfig
from ..metrics import Budget, Meter, Metric
from ..problem import Problem
from ..runtime import MetricCache
from ..workload import Examples, Stream, Workload, resample, resampling_of, take
from ..workload.nests import member, on
from ..workload.resampling import units_of
from .acceptance import FEWEST_RESAMPLES, chance

#: Models that are rated together; a search toward one aim is short, and each round learns the value function anew.
_ROUND = 4


@final
@dataclass(frozen=True, kw_only=True)
class Rating:
    """One metric of one model, on rows that the search never saw.

    Args:
        metric: its name.
        value: of this model. low, high: of its gain over the model as it was, positive is better.
    """

    metric: str
    value: float
    low: float
    high: float


#: A phi, and its utility by each metric.
Seen = list[tuple[Tensor, tuple[float, ...]]]


@final
@dataclass(frozen=True, kw_only=True)
class Aim:
    """One direction of the search: how much each metric counts, `(k,)`, largest where it matters most."""

    weights: tuple[float, ...]

    def worth(self, utilities: Sequence[float], seen: Seen) -> float:
        """One number in [0, 1]. A single metric counts by itself, with a little of the others to break ties; of a
        compromise it is the weighted distance to the best that was seen of each, the largest one."""
        values = torch.tensor(utilities, dtype=torch.float64)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        if float(weights.max()) == 1.0:
            return float(0.95 * values[int(weights.argmax())] + 0.05 * values.mean())
        ideal, worst = _payoff(seen, len(weights))
        missing = weights * (ideal - values) / (ideal - worst).clamp_min(1e-6)
        return float((1 - (0.95 * missing.max() + 0.05 * missing.mean()) / 2).clamp(0.0, 1.0))


def _payoff(seen: Seen, count: int) -> tuple[Tensor, Tensor]:
    """The best that was seen of each metric, and the worst of it among the bests of the others."""
    table = torch.tensor([values for _, values in seen], dtype=torch.float64).reshape(-1, count)
    bests = table[table.argmax(dim=0)]
    return table.max(dim=0).values, bests.min(dim=0).values


def aims(metrics: int) -> list[Aim]:
    """Each metric by itself, all alike, then between any two."""
    alone = [tuple(float(i == k) for i in range(metrics)) for k in range(metrics)]
    even = [tuple(1 / metrics for _ in range(metrics))]
    pairs = [
        tuple(0.75 if i == a else 0.25 if i == b else 0.0 if metrics == 2 else 0.1 for i in range(metrics))
        for a, b in itertools.permutations(range(metrics), 2)
    ]
    return [Aim(weights=one) for one in (*alone, *even, *(pairs if metrics == 2 else pairs[::2]))]


@final
class AskAll(Ask):
    """Asks every metric about a question, and answers with what the aim makes of it."""

    def __init__(self, metrics: tuple[Metric, ...], cache: MetricCache, advance: Callable[..., None]) -> None:
        self.metrics, self.calls = metrics, 0
        self.last: tuple[float, ...] = ()
        self.worth: Callable[[Sequence[float]], float] = max
        self._advance = advance
        self._ask = AskOnce(ask_in_turn, cache, self._answered)

    def raw(self, question: Question) -> tuple[float, ...]:
        """The raw values of all metrics."""
        return tuple(next(iter(self._ask(one, [question], Budget().start()))) for one in self.metrics)

    def __call__(self, metric: Metric, questions: Sequence[Question], meter: Meter) -> Iterator[float]:
        for question in questions:
            meter.spend(1)
            raw = self.raw(question)
            self.last = tuple(one.utility(value) for one, value in zip(self.metrics, raw, strict=True))
            yield self.worth(self.last)

    def _answered(self) -> None:
        self.calls += 1
        self._advance()


def searched(workload: Workload, ask: AskAll, calls: int, *, seed: int) -> Seen:
    """All that was rated on the search rows: a search for each aim, each of which knows what those before it saw."""
    seen: Seen = []
    resampling = next((one.resampling for one in ask.metrics if one.resampling is not None), None)
    metric = Metric(ask, name="several metrics", higher_is_better=True, resampling=resampling)
    directions = aims(len(ask.metrics))
    for number, aim in enumerate(directions):
        left = calls - len(seen)
        known = list(seen)  # what an aim is measured against stays as it is while it is searched
        ask.worth = lambda utilities, aim=aim, known=known: aim.worth(utilities, known)  # type: ignore[misc]
        problem = Problem(
            workload,
            metric=metric,
            budget=Budget(calls=left // (len(directions) - number)),
            ask=ask,
            on_observation=lambda phi, raw: seen.append((phi.detach().clone(), ask.last)),
        )
        for phi, utilities in known:
            problem.memory.add(phi, aim.worth(utilities, known))
        MetricOpt(config=MetricOptConfig(round=_ROUND)).run(problem, seed=derive_seed(seed, "front", number))
    return seen


def spread_front(seen: Seen, points: int) -> Seen:
    """What no other beats by all metrics, at most `points` of it: the best of each metric, then what lies farthest from
    those that are chosen."""
    values = torch.tensor([utilities for _, utilities in seen], dtype=torch.float64)
    better = (values[:, None] >= values[None]).all(dim=2) & (values[:, None] > values[None]).any(dim=2)
    kept = (~better.any(dim=0)).nonzero()[:, 0]
    # Of equals the first: the one that was reached with fewer calls.
    _, first = values[kept].unique(dim=0, return_inverse=True)
    kept = torch.stack([kept[first == one][0] for one in first.unique()])
    front = values[kept]
    unit = (front - front.min(dim=0).values) / (front.max(dim=0).values - front.min(dim=0).values).clamp_min(1e-9)
    chosen = list(dict.fromkeys(front.argmax(dim=0).tolist()))
    while len(chosen) < min(points, len(front)):
        distance = torch.cdist(unit, unit[chosen]).min(dim=1).values
        chosen.append(int(distance.argmax()))
    found = [seen[int(kept[at])] for at in chosen[:points]]
    return [(phi, utilities) for phi, utilities in found if bool(phi.any())]


def rated(
    workload: Workload, holdout: Examples | Stream, phis: Tensor, ask: AskAll, *, confidence: float, seed: int
) -> tuple[tuple[float, ...], list[tuple[Rating, ...]]]:
    """Metrics of phi = 0, the first of `phis`, and ratings of the others: all on the same resamples of the holdout."""
    outputs = on(workload.predict(phis, of=holdout), "cpu")
    targets, told, groups = on(holdout.targets, "cpu"), on(holdout.judged_by, "cpu"), holdout.groups
    each = [member(outputs, at) for at in range(len(phis))]
    raw = [ask.raw((one, told)) for one in each]
    stated = next((one.resampling for one in ask.metrics if one.resampling is not None), None)
    how = resampling_of(stated, workload.kind, groups)
    source = generator(seed, "front resamples")
    drawn = []
    for _ in range(FEWEST_RESAMPLES):
        rows = resample(targets, how, generator=source, groups=groups)
        there = take(told, rows)
        drawn.append(
            [
                [m.utility(v) for m, v in zip(ask.metrics, ask.raw((take(one, rows), there)), strict=True)]
                for one in each
            ]
        )
    table = torch.tensor(drawn, dtype=torch.float64)  # (r, n, k)
    if len(phis) == 1:
        return raw[0], []
    gains, units = table[:, 1:] - table[:, :1], units_of(len(targets), groups)
    ratings = []
    for at, values in enumerate(raw[1:]):
        row = []
        for k, metric in enumerate(ask.metrics):
            unit = metric.bounds[1] - metric.bounds[0]
            gain = metric.utility(values[k]) - metric.utility(raw[0][k])
            spread, wide = chance(gains[:, at, k], how, units, confidence)
            low, high = (gain - wide * spread) * unit, (gain + wide * spread) * unit
            row.append(Rating(metric=metric.name, value=values[k], low=low, high=high))
        ratings.append(tuple(row))
    return raw[0], ratings
