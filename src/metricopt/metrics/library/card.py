"""What is to be known about a library metric without calling it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..._types import Reads, ScoreKind
from ..metric import Metric

#: What a value depends on: "labels" can be moved by a threshold, "order" cannot.
DependsOn = Literal["labels", "order"]


@dataclass(frozen=True, kw_only=True)
class MetricCard:
    """One metric in words; it feeds the command line, the documentation and the contract tests.

    Args:
        name: its name in the registry.
        title: one line.
        higher_is_better: its direction.
        bounds: the range of its values.
        reads: what its function is handed. The library reads raw scores and converts them itself, because
            hard labels of shape `(N,)` do not tell binary from multiclass.
        depends_on: "labels" where only hard labels count, "order" where the ranking by score does.
        kinds: the kinds of problem it is defined for.
        options: options that must be given, with a typical value; empty where all have defaults.
        perfect_is_one: whether a perfect prediction always has utility 1; recall at k has not where there are
            more than k positives.
        perfect_is_best: whether no prediction beats a perfect one; a rate that is only ever limited has no such wish.
        reference: whose numbers it equals.
    """

    name: str
    title: str
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    reads: Reads = "scores"
    depends_on: DependsOn
    kinds: tuple[ScoreKind, ...]
    options: Mapping[str, float] = field(default_factory=dict)
    perfect_is_one: bool = True
    perfect_is_best: bool = True
    reference: str


@dataclass(frozen=True, kw_only=True)
class MetricEntry:
    """A card and the factory that makes the metric: `factory(**options) -> Metric`."""

    card: MetricCard
    factory: Callable[..., Metric]


def make(card: MetricCard, fn: Callable[..., Any], **options: object) -> Metric:
    """A Metric with the direction and bounds of its card; options that are not defaults show in its name."""
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    return Metric(
        fn,
        name=f"{card.name}({shown})" if shown else card.name,
        higher_is_better=card.higher_is_better,
        bounds=card.bounds,
        reads=card.reads,
    )
