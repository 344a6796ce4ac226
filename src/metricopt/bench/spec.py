"""What a table consists of, as data: tasks, methods, metrics, seeds, calls, and the figures of the paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .._checks import at_least, one_of
from .._errors import ConfigError
from ..methods import METHODS
from ..metrics import METRICS
from ..tasks import DATASETS
from .references import REFERENCES
from .run import Run

SAMPLERS = ("balanced", "plain")

#: A metric whose utility is that of another one is not searched again: its rows are read off the other's runs.
DERIVED = {"accuracy": "mcr"}


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """One number of the paper.

    Args:
        label: what the paper calls the row.
        title: the same in words.
        value: the figure.
        beside: our methods that do the same; empty where none does.
    """

    label: str
    title: str
    value: float
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Methods x metrics x seeds on tabular tasks, all with the same number of metric calls.

    Args:
        title: of the table.
        data, samplers: names; every pair of them is a task. A function that builds a problem, `file.py:function`, has
            no sampler of the table's.
        methods: names in `METHODS` or `REFERENCES`.
        metrics: names of library metrics.
        seeds: each one is a split, a pre-trained network and a search.
        calls: metric calls of every method.
        dim: length of phi.
        against: the methods that the others are compared with, seed by seed.
        titles: other names of metrics for this table.
        paper: figures by (data set, metric).
        source: where those figures stand.
    """

    title: str
    data: tuple[str, ...]
    samplers: tuple[str, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    seeds: tuple[int, ...]
    calls: int = 200
    dim: int = 16
    against: tuple[str, ...] = ("as_trained", "threshold")
    titles: dict[str, str] = field(default_factory=dict)
    paper: dict[tuple[str, str], tuple[PaperFigure, ...]] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("data", "samplers", "methods", "metrics", "seeds", "against"):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given):
                raise ConfigError(f"{name} of a table must be one or more different values, got {given!r}")
        for name in self.data:
            if ":" not in name:
                _ = DATASETS[name]  # an unknown name raises, with the closest one
        for name in self.samplers:
            one_of("sampler", name, SAMPLERS)
        for name in (*self.methods, *self.against):
            if name not in REFERENCES:
                _ = METHODS[name]
        for name in self.metrics:
            _ = METRICS[name]
        for seed in self.seeds:
            at_least("seed", seed, 0)
        at_least("calls", self.calls, 1)

    @property
    def searched(self) -> tuple[str, ...]:
        """The metrics that are searched for: each once, in the order of the table."""
        return tuple(dict.fromkeys(DERIVED.get(metric, metric) for metric in self.metrics))

    def runs(self) -> Iterator[Run]:
        """Every run, seed by seed: whenever one stops, all methods have seen about the same seeds."""
        for seed in self.seeds:
            for data in self.data:
                for sampler in self.samplers if ":" not in data else ("plain",):
                    for metric in self.searched:
                        for method in self.methods:
                            yield Run(
                                data=data,
                                sampler=sampler,
                                metric=metric,
                                method=method,
                                seed=seed,
                                calls=self.calls,
                                dim=self.dim,
                            )
