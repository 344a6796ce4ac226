"""Everything that a report shows of one run, as plain data that is checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from .._errors import CheckpointError, ConfigError
from .._typed import MAX_SIZE, MAY_LACK, Count, Most, NotNegative, Number, Typed, from_json, to_json
from .loss_search_data import LossSearch

#: The most of each thing that a report holds: enough for every run that ends, too few for a page that hangs.
MAX_STAGES = 64
MAX_RUNS = 1_000
MAX_VALUES = 1_000_000
MAX_POINTS = 100_000
MAX_CLASSES = 100
MAX_SERIES = 8
MAX_BINS = 1_000
MAX_FACTS = 200
#: A text longer than this is not a report: the largest one that fits all limits is a few megabytes.
MAX_JSON = 64 * 1024 * 1024
#: Series of histograms that do not show scores of classes: how wrong values are, how alike pairs, how sure detections.
ERRORS = "errors"
SAME, DIFFERENT = "pairs of one label", "pairs of two labels"
DETECTIONS = "detections"


@dataclass(frozen=True)
class Stage(Typed):
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
    value: Number | None
    calls: Count
    seconds: NotNegative
    chosen: bool
    observed: Annotated[tuple[Number, ...], Most(MAX_VALUES)] = ()


@dataclass(frozen=True)
class Run(Typed):
    """One trajectory: the loss, and the metric as the Gaussian process fills it in between observations.

    Args:
        steps: increasing.
        losses: one for each step, None where no loss was followed.
        mean, std: raw metric at each step, interpolated, and its standard deviation.
        seen: (step, raw metric) of each observation.
        label: what a reader calls it.
    """

    steps: Annotated[tuple[Count, ...], Most(MAX_POINTS)]
    losses: tuple[Number, ...] | None
    mean: tuple[Number, ...]
    std: tuple[NotNegative, ...]
    seen: Annotated[tuple[tuple[Count, Number], ...], Most(MAX_POINTS)]
    label: str

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mean", "std", "losses"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.steps):
                raise ConfigError(f"{name} must have one value for each of {len(self.steps)} steps, got {len(values)}")
        if not self.steps:
            raise ConfigError("steps must not be empty; leave the run out")
        if any(after <= before for before, after in zip(self.steps, self.steps[1:], strict=False)):
            raise ConfigError("steps must increase from each one to the next")


@dataclass(frozen=True)
class Prediction(Typed):
    """What the value function said before a metric call, and what the call returned, all in raw units.

    Args:
        predicted: the estimate.
        spread: its standard deviation.
        observed: what was measured afterwards.
    """

    predicted: Number
    spread: NotNegative
    observed: Number


@dataclass(frozen=True)
class Point(Typed):
    """One phi in a two-dimensional projection of the value function's embedding, with its raw metric."""

    x: Number
    y: Number
    value: Number


@dataclass(frozen=True)
class Confusion(Typed):
    """How often each true class was given each label, before and after.

    Args:
        labels: K class names, at most `MAX_CLASSES`.
        before, after: K x K counts; rows are the truth, columns the prediction.
    """

    labels: Annotated[tuple[str, ...], Most(MAX_CLASSES)]
    before: tuple[tuple[Count, ...], ...]
    after: tuple[tuple[Count, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ConfigError(f"labels must be two or more different names, got {len(self.labels)} with repetitions")
        for name, rows in (("before", self.before), ("after", self.after)):
            lengths = {len(rows), *map(len, rows)}
            if lengths != {len(self.labels)}:
                size = f"{len(self.labels)} x {len(self.labels)} for {len(self.labels)} labels"
                raise ConfigError(f"{name} must be {size}, got {len(rows)} rows of {sorted(set(map(len, rows)))}")


@dataclass(frozen=True)
class Histogram(Typed):
    """How the scores of each class lie, before and after.

    Args:
        title: what is on the horizontal axis.
        edges: B + 1 increasing borders of the bins.
        before, after: B counts for each class label; both name the same classes.
        threshold_before, threshold_after: where the decision changes, None where there is no such place.
    """

    title: str
    edges: Annotated[tuple[Number, ...], Most(MAX_BINS + 1)]
    before: Annotated[Mapping[str, tuple[Count, ...]], Most(MAX_SERIES)]
    after: Annotated[Mapping[str, tuple[Count, ...]], Most(MAX_SERIES)]
    threshold_before: Number | None = None
    threshold_after: Number | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.edges) < 2 or any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ConfigError("edges must be two or more increasing numbers")
        bins = len(self.edges) - 1
        for name, series in (("before", self.before), ("after", self.after)):
            wrong = [label for label, entry in series.items() if len(entry) != bins]
            if not series or wrong:
                raise ConfigError(
                    f"{name} must have {bins} counts for each of one or more classes, wrong: {_names(wrong)}"
                )
        if set(self.before) != set(self.after):
            raise ConfigError(f"before and after must name the same classes, got {_names(self.before, self.after)}")


@dataclass(frozen=True, kw_only=True)
class Term(Typed):
    """One part of a constrained metric, measured before and after.

    Args:
        text: the objective's name, or the limit in words.
        before, after: its value.
        low, high: an interval of the value after; None for the objective.
        kept_before, kept: whether the limit is kept before and after; None for the objective.
    """

    text: str
    before: Number
    after: Number
    low: Number | None = None
    high: Number | None = None
    kept_before: bool | None = None
    kept: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_interval(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class OnTestRows(Typed):
    """The metric on rows that nothing was chosen by: the figures to quote.

    Args:
        rows: how many.
        before, after: raw metric of the model as given and of the one that came back.
        low, high: confidence interval of the gain, positive = better; both None where the model stayed as it was.
        terms: objective and limits of a constrained metric.
    """

    rows: Count
    before: Number
    after: Number
    low: Number | None = None
    high: Number | None = None
    terms: Annotated[tuple[Term, ...], Most(MAX_STAGES)] = field(default=(), metadata=MAY_LACK)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_interval(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class ReportData(Typed):
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
    bounds: tuple[Number, Number]
    before: Number
    after: Number
    low: Number | None
    high: Number | None
    confidence: float
    accepted: bool
    reason: str
    verified: bool
    calls: Count
    seconds: NotNegative
    facts: Annotated[Mapping[str, str], Most(MAX_FACTS)] = field(default_factory=dict)
    stages: Annotated[tuple[Stage, ...], Most(MAX_STAGES)] = ()
    runs: Annotated[tuple[Run, ...], Most(MAX_RUNS)] = ()
    predictions: Annotated[tuple[Prediction, ...], Most(MAX_POINTS)] = ()
    embedding: Annotated[tuple[Point, ...], Most(MAX_POINTS)] = ()
    confusion: Confusion | None = None
    histogram: Histogram | None = None
    test: OnTestRows | None = field(default=None, metadata=MAY_LACK)  # of older reports
    loss_search: LossSearch | None = field(default=None, metadata=MAY_LACK)
    terms: Annotated[tuple[Term, ...], Most(MAX_STAGES)] = field(default=(), metadata=MAY_LACK)

    def __post_init__(self) -> None:
        if isinstance(self.bounds, tuple | list):
            object.__setattr__(self, "bounds", tuple(map(_huge_as_limit, self.bounds)))
        super().__post_init__()
        if self.bounds[0] >= self.bounds[1]:
            raise ConfigError(f"bounds must be two numbers (low, high) with low < high, got {self.bounds!r}")
        _check_interval(self.low, self.high)
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence must lie between 0 and 1, got {self.confidence!r}")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ConfigError(f"the names of stages must differ, got {', '.join(name[:80] for name in names)}")
        if sum(stage.chosen for stage in self.stages) > 1:
            raise ConfigError("at most one of the stages can be the chosen one")

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
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> ReportData:
        """The data that `to_json` wrote.

        Raises: CheckpointError, naming the field, where the text is not exactly that.
        """
        if isinstance(text, str) and len(text) > MAX_JSON:
            raise CheckpointError(f"not a readable report: {len(text):,} characters are more than any report has.")
        return from_json(cls, text, "report")


def _check_interval(low: float | None, high: float | None) -> None:
    if (low is None) != (high is None) or (low or 0) > (high or 0):
        raise ConfigError(f"low and high must be an interval or both None, got {low!r} and {high!r}")


def _huge_as_limit(value: Any) -> Any:
    """A bound; the largest float, say, is a way to write that there is none, and counts as `MAX_SIZE`."""
    return min(max(value, -MAX_SIZE), MAX_SIZE) if isinstance(value, float) and math.isfinite(value) else value


def _names(*several_names: Iterable[str]) -> str:
    return " and ".join(", ".join(name[:80] for name in names) or "none" for names in several_names)
