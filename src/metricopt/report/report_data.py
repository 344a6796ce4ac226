"""Everything that a report shows of one run, as plain data that is checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._errors import ConfigError
from . import strict_json
from .loss_search_data import LossSearch
from .plain_values import (
    MAX_SIZE,
    Setter,
    count,
    counts,
    flag,
    mapping,
    number,
    numbers,
    parts,
    several,
    text,
    texts,
)

#: The most of each thing that a report holds: enough for every run that ends, too few for a page that hangs.
MAX_STAGES = 64
MAX_RUNS = 1_000
MAX_VALUES = 1_000_000
MAX_POINTS = 100_000
MAX_CLASSES = 100
MAX_SERIES = 8
MAX_BINS = 1_000
MAX_FACTS = 200
#: Series of histograms that do not show scores of classes: how wrong values are, how alike pairs, how sure detections.
ERRORS = "errors"
SAME, DIFFERENT = "pairs of one label", "pairs of two labels"
DETECTIONS = "detections"


@dataclass(frozen=True)
class Stage:
    """One part of the search: what it proposed and what it saw.

    Args:
        name: short and unique within the report.
        title: what a reader calls it.
        value: raw metric of its proposal on the search part, None where it made none.
        calls: metric calls that it spent.
        seconds: time that it took.
        chosen: whether its proposal is the one that went to the acceptance test.
        observed: raw metric of each call, in order.
    """

    name: str
    title: str
    value: float | None
    calls: int
    seconds: float
    chosen: bool
    observed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        put = Setter(self)
        put(name=text("name", self.name), title=text("title", self.title))
        put(value=_optional("value", self.value), calls=count("calls", self.calls))
        put(seconds=_at_least_zero("seconds", self.seconds), chosen=flag("chosen", self.chosen))
        put(observed=numbers("observed", self.observed, MAX_VALUES))


@dataclass(frozen=True)
class Run:
    """One trajectory: the loss, and the metric as the Gaussian process fills it in between observations.

    Args:
        steps: increasing.
        losses: one for each step, None where no loss was followed.
        mean, std: raw metric at each step, interpolated, and its standard deviation.
        seen: (step, raw metric) of each observation.
        label: what a reader calls it.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seen: tuple[tuple[int, float], ...]
    label: str

    def __post_init__(self) -> None:
        put = Setter(self)
        put(steps=counts("steps", self.steps, MAX_POINTS), label=text("label", self.label))
        put(mean=numbers("mean", self.mean, MAX_POINTS), std=numbers("std", self.std, MAX_POINTS))
        if self.losses is not None:
            put(losses=numbers("losses", self.losses, MAX_POINTS))
        for name in ("mean", "std", "losses"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.steps):
                raise ConfigError(f"{name} must have one value for each of {len(self.steps)} steps, got {len(values)}")
        if not self.steps:
            raise ConfigError("steps must not be empty; leave the run out")
        if any(after <= before for before, after in zip(self.steps, self.steps[1:], strict=False)):
            raise ConfigError("steps must increase from each one to the next")
        _all_at_least_zero("std", self.std)
        put(seen=tuple(_seen(at, pair) for at, pair in enumerate(several("seen", self.seen, MAX_POINTS))))


@dataclass(frozen=True)
class Prediction:
    """What the value function said before a metric call, and what the call returned, all in raw units.

    Args:
        predicted: the estimate.
        spread: its standard deviation.
        observed: what was measured afterwards.
    """

    predicted: float
    spread: float
    observed: float

    def __post_init__(self) -> None:
        put = Setter(self)
        put(predicted=number("predicted", self.predicted), observed=number("observed", self.observed))
        put(spread=_at_least_zero("spread", self.spread))


@dataclass(frozen=True)
class Point:
    """One phi in a two-dimensional projection of the value function's embedding, with its raw metric."""

    x: float
    y: float
    value: float

    def __post_init__(self) -> None:
        Setter(self)(x=number("x", self.x), y=number("y", self.y), value=number("value", self.value))


@dataclass(frozen=True)
class Confusion:
    """How often each true class was given each label, before and after.

    Args:
        labels: K class names, at most `MAX_CLASSES`.
        before, after: K x K counts; rows are the truth, columns the prediction.
    """

    labels: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        put = Setter(self)
        put(labels=texts("labels", self.labels, MAX_CLASSES))
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ConfigError(f"labels must be two or more different names, got {len(self.labels)} with repetitions")
        put(before=_square("before", self.before, len(self.labels)))
        put(after=_square("after", self.after, len(self.labels)))


@dataclass(frozen=True)
class Histogram:
    """How the scores of each class lie, before and after.

    Args:
        title: what is on the horizontal axis.
        edges: B + 1 increasing borders of the bins.
        before, after: B counts for each class label; both name the same classes.
        threshold_before, threshold_after: where the decision changes, None where there is no such place.
    """

    title: str
    edges: tuple[float, ...]
    before: Mapping[str, tuple[int, ...]]
    after: Mapping[str, tuple[int, ...]]
    threshold_before: float | None = None
    threshold_after: float | None = None

    def __post_init__(self) -> None:
        put = Setter(self)
        put(title=text("title", self.title), edges=numbers("edges", self.edges, MAX_BINS + 1))
        if len(self.edges) < 2 or any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ConfigError("edges must be two or more increasing numbers")
        bins = len(self.edges) - 1
        put(before=_series("before", self.before, bins), after=_series("after", self.after, bins))
        if set(self.before) != set(self.after):
            raise ConfigError(f"before and after must name the same classes, got {_names(self.before, self.after)}")
        put(threshold_before=_optional("threshold_before", self.threshold_before))
        put(threshold_after=_optional("threshold_after", self.threshold_after))


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a constrained metric, measured before and after.

    Args:
        text: the objective's name, or the limit in words.
        before, after: its value.
        low, high: an interval of the value after; None for the objective.
        kept_before, kept: whether the limit is kept before and after; None for the objective.
    """

    text: str
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    kept_before: bool | None = None
    kept: bool | None = None

    def __post_init__(self) -> None:
        put = Setter(self)
        put(text=text("text", self.text), before=number("before", self.before), after=number("after", self.after))
        put(low=_optional("low", self.low), high=_optional("high", self.high))
        _check_interval(self.low, self.high)
        for name in ("kept_before", "kept"):
            if getattr(self, name) is not None:
                put(**{name: flag(name, getattr(self, name))})


@dataclass(frozen=True, kw_only=True)
class OnTestRows:
    """The metric on rows that nothing was chosen by: the figures to quote.

    Args:
        rows: how many.
        before, after: raw metric of the model as given and of the one that came back.
        low, high: confidence interval of the gain, positive = better; both None where the model stayed as it was.
        terms: objective and limits of a constrained metric.
    """

    rows: int
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    terms: tuple[Term, ...] = field(default=(), metadata=strict_json.MAY_LACK)

    def __post_init__(self) -> None:
        put = Setter(self)
        put(rows=count("rows", self.rows), before=number("before", self.before), after=number("after", self.after))
        put(low=_optional("low", self.low), high=_optional("high", self.high))
        _check_interval(self.low, self.high)
        put(terms=parts("terms", self.terms, Term, MAX_STAGES))


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """All that a report shows of one run.

    Whatever is given is turned into plain tuples, numbers and text, and every number must be finite.

    Args:
        title: headline of the report.
        metric: name of the metric; higher_is_better: its direction; bounds: (low, high) of its values.
        before, after: raw metric of the model as given and of the proposal, on the acceptance part.
        low, high: confidence interval of the gain, positive = better, in units of the metric; both None where
            there was no acceptance test.
        confidence: of that interval, in (0, 1).
        accepted: whether the proposal replaces the model; reason: why, one sentence.
        verified: False where the search was trusted without an acceptance test.
        calls, seconds: what the whole run took.
        facts: further lines for a small table: model, rows, adapters, seed, machine, version.
        stages, runs, predictions, embedding, confusion, histogram: what the pictures show; all may be empty.
        test: the same on rows that nothing was chosen by, None where there are none.
        loss_search: of a search for losses; then before is the plain loss, after the one that was found.
        terms: objective and limits of a constrained metric on the rows of `before` and `after`.

    Raises:
        ConfigError: where a field has a value that cannot be shown; the message names the field.

    >>> report_data = ReportData(title="Adult", metric="f1", higher_is_better=True, bounds=(0, 1), before=0.65,
    ...     after=0.68, low=0.01, high=0.05, confidence=0.95, accepted=True, reason="The interval excludes zero.",
    ...     verified=True, calls=200, seconds=12.5)
    >>> round(report_data.gain, 6), ReportData.from_json(report_data.to_json()) == report_data
    (0.03, True)
    """

    title: str
    metric: str
    higher_is_better: bool
    bounds: tuple[float, float]
    before: float
    after: float
    low: float | None
    high: float | None
    confidence: float
    accepted: bool
    reason: str
    verified: bool
    calls: int
    seconds: float
    facts: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    runs: tuple[Run, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    embedding: tuple[Point, ...] = ()
    confusion: Confusion | None = None
    histogram: Histogram | None = None
    test: OnTestRows | None = field(default=None, metadata=strict_json.MAY_LACK)  # of older reports
    loss_search: LossSearch | None = field(default=None, metadata=strict_json.MAY_LACK)
    terms: tuple[Term, ...] = field(default=(), metadata=strict_json.MAY_LACK)

    def __post_init__(self) -> None:
        put = Setter(self)
        put(**{name: text(name, getattr(self, name)) for name in ("title", "metric", "reason")})
        put(**{name: flag(name, getattr(self, name)) for name in ("higher_is_better", "accepted", "verified")})
        put(bounds=_bounds(self.bounds), before=number("before", self.before), after=number("after", self.after))
        put(low=_optional("low", self.low), high=_optional("high", self.high))
        _check_interval(self.low, self.high)
        put(confidence=number("confidence", self.confidence))
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence must lie between 0 and 1, got {self.confidence!r}")
        put(calls=count("calls", self.calls), seconds=_at_least_zero("seconds", self.seconds))
        facts = mapping("facts", self.facts, MAX_FACTS)
        put(facts={name: text(f"facts[{name[:80]!r}]", entry) for name, entry in facts.items()})
        self._check_pictures(put)

    def _check_pictures(self, put: Setter) -> None:
        put(stages=parts("stages", self.stages, Stage, MAX_STAGES), runs=parts("runs", self.runs, Run, MAX_RUNS))
        put(predictions=parts("predictions", self.predictions, Prediction, MAX_POINTS))
        put(embedding=parts("embedding", self.embedding, Point, MAX_POINTS))
        put(terms=parts("terms", self.terms, Term, MAX_STAGES))
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ConfigError(f"the names of stages must differ, got {', '.join(name[:80] for name in names)}")
        if sum(stage.chosen for stage in self.stages) > 1:
            raise ConfigError("at most one of the stages can be the chosen one")
        for name, kind in (
            ("confusion", Confusion),
            ("histogram", Histogram),
            ("test", OnTestRows),
            ("loss_search", LossSearch),
        ):
            if not isinstance(getattr(self, name), kind | None):
                raise ConfigError(f"{name} must be a {kind.__name__} or None, got {type(getattr(self, name)).__name__}")

    @property
    def gain(self) -> float:
        """By how much `after` is better than `before`, in units of the metric."""
        return self.better_by(self.after, self.before)

    def better_by(self, value: float, other: float) -> float:
        """By how much `value` is better than `other`; the one place of a report that knows the direction."""
        return value - other if self.higher_is_better else other - value

    def best_so_far(self, values: Iterable[float]) -> list[float]:
        """The best of all values up to each one.

        >>> cost = ReportData(title="", metric="cost", higher_is_better=False, bounds=(0, 9), before=3, after=3, low=0,
        ...     high=0, confidence=0.95, accepted=False, reason="", verified=True, calls=0, seconds=0)
        >>> cost.best_so_far([3, 4, 2])
        [3, 3, 2]
        """
        best: list[float] = []
        for value in values:
            best.append(value if not best or self.better_by(value, best[-1]) > 0 else best[-1])
        return best

    def to_json(self) -> str:
        """All of the report as one line of JSON; `from_json` gives back equal data."""
        return strict_json.to_json(self)

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """The data that `to_json` wrote.

        Raises: CheckpointError, naming the field, where the text is not exactly that.
        """
        return strict_json.from_json(text, cls, what="report_data")


def _optional(name: str, value: Any) -> float | None:
    return None if value is None else number(name, value)


def _at_least_zero(name: str, value: Any) -> float:
    plain = number(name, value)
    _all_at_least_zero(name, (plain,))
    return plain


def _all_at_least_zero(name: str, values: Iterable[float]) -> None:
    least = min(values)
    if least < 0:
        raise ConfigError(f"{name} must be at least 0, got {least!r}")


def _check_interval(low: float | None, high: float | None) -> None:
    if (low is None) != (high is None) or (low or 0) > (high or 0):
        raise ConfigError(f"low and high must be an interval or both None, got {low!r} and {high!r}")


def _bounds(value: Any) -> tuple[float, float]:
    found = several("bounds", value, 2)
    found = tuple(_huge_as_limit(at, entry) for at, entry in enumerate(found))
    if len(found) != 2 or found[0] >= found[1]:
        raise ConfigError(f"bounds must be two numbers (low, high) with low < high, got {found!r}")
    return found[0], found[1]


def _huge_as_limit(at: int, value: Any) -> float:
    """A bound; the largest float, say, is a way to write that there is none, and counts as `MAX_SIZE`."""
    if isinstance(value, float) and math.isfinite(value):
        value = min(max(value, -MAX_SIZE), MAX_SIZE)
    return number(f"bounds[{at}]", value)


def _seen(at: int, pair: Any) -> tuple[int, float]:
    found = several(f"seen[{at}]", pair, 2)
    if len(found) != 2:
        raise ConfigError(f"seen[{at}] must be a pair (step, value), got {len(found)} entries")
    return count(f"seen[{at}][0]", found[0]), number(f"seen[{at}][1]", found[1])


def _square(name: str, value: Any, size: int) -> tuple[tuple[int, ...], ...]:
    rows = several(name, value, MAX_CLASSES)
    found = tuple(counts(f"{name}[{at}]", row, MAX_CLASSES) for at, row in enumerate(rows))
    if len(found) != size or any(len(row) != size for row in found):
        lengths = sorted({len(row) for row in found})
        raise ConfigError(f"{name} must be {size} x {size} for {size} labels, got {len(found)} rows of {lengths}")
    return found


def _series(name: str, value: Any, bins: int) -> dict[str, tuple[int, ...]]:
    given = mapping(name, value, MAX_SERIES)
    found = {label: counts(f"{name}[{label[:80]!r}]", entry, MAX_BINS) for label, entry in given.items()}
    wrong = [label for label, entry in found.items() if len(entry) != bins]
    if not found or wrong:
        raise ConfigError(f"{name} must have {bins} counts for each of one or more classes, wrong: {_names(wrong)}")
    return found


def _names(*several_names: Iterable[str]) -> str:
    return " and ".join(", ".join(name[:80] for name in names) or "none" for names in several_names)
