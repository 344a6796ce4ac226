"""From rows of the results store to the lines of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..methods import METHODS, MethodCard
from ..metrics import METRICS
from .interval import Interval, paired_interval
from .references import REFERENCES
from .spec import DERIVED, PaperFigure, TableSpec

Row = Mapping[str, Any]

#: Held-out quality of the value function: diagnostics that get a column where some method reports them.
QUALITY = ("fit_spearman", "last_spearman", "fit_mae", "fit_mae_of_mean")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One method on one metric of one task, over seeds.

    Args:
        mean: of the raw test values.
        seeds: how many seeds have a row.
        gains: paired gain over each baseline, positive is better; None where no seed has both, or it is the baseline.
        calls, seconds: means over seeds.
        quality: means of the diagnostics in `QUALITY` that the method reports.
        paper: the paper's figure beside it.
    """

    method: str
    card: MethodCard
    mean: float
    seeds: int
    gains: tuple[Interval | None, ...]
    calls: float
    seconds: float
    quality: Mapping[str, float]
    paper: PaperFigure | None


@dataclass(frozen=True, kw_only=True)
class Block:
    """All methods on one metric of one task, and the paper's figures that stand beside none of them."""

    task: str
    metric: str
    title: str
    higher_is_better: bool
    lines: tuple[Line, ...]
    others: tuple[PaperFigure, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Everything that a table prints."""

    spec: TableSpec
    blocks: tuple[Block, ...]
    machines: tuple[str, ...]
    missing: int


def card_of(method: str) -> MethodCard:
    """The card of a method or of an outside reference."""
    return REFERENCES[method].card if method in REFERENCES else METHODS[method].card


def make_table(spec: TableSpec, rows: Iterable[Row]) -> Table:
    """Sort the rows that belong to `spec` into blocks.

    Where a method was run with several settings, those of the row that was appended last count.
    """
    chosen = _chosen(spec, rows)
    blocks = []
    for data in spec.data:
        for sampler in spec.samplers:
            for metric in spec.metrics:
                block = _block(spec, chosen, data, sampler, metric)
                if block.lines:
                    blocks.append(block)
    wanted = len(spec.data) * len(spec.samplers) * len(spec.searched) * len(spec.methods) * len(spec.seeds)
    found = [row for by_seed in chosen.values() for row in by_seed.values()]
    return Table(spec=spec, blocks=tuple(blocks), machines=_machines(found), missing=wanted - len(found))


_Chosen = dict[tuple[str, str, str], dict[int, Row]]


def _chosen(spec: TableSpec, rows: Iterable[Row]) -> _Chosen:
    """Rows of the table by (task, metric, method) and seed."""
    tasks = {f"{data}-{sampler}" for data in spec.data for sampler in spec.samplers}
    chosen: _Chosen = {}
    for row in rows:
        settings = row["settings"]
        if row["task"] not in tasks or row["metric"] not in spec.searched or row["method"] not in spec.methods:
            continue
        if row["seed"] not in spec.seeds or (settings["calls"], settings["dim"]) != (spec.calls, spec.dim):
            continue
        by_seed = chosen.setdefault((row["task"], row["metric"], row["method"]), {})
        if any(other["settings"] != settings for other in by_seed.values()):
            by_seed.clear()
        by_seed[row["seed"]] = row
    return chosen


def _block(spec: TableSpec, chosen: _Chosen, data: str, sampler: str, metric: str) -> Block:
    task = f"{data}-{sampler}"
    card = METRICS[metric].card
    found = {method: chosen.get((task, DERIVED.get(metric, metric), method), {}) for method in spec.methods}
    values = {method: {seed: _value(row, metric) for seed, row in rows.items()} for method, rows in found.items()}
    sign = 1.0 if card.higher_is_better else -1.0
    figures = spec.paper.get((data, metric), ())
    lines = []
    for method in [*METHODS, *REFERENCES]:
        rows = found.get(method)
        if rows:
            gains = tuple(
                _gain(values[method], values.get(base, {}), sign) if base != method else None for base in spec.against
            )
            lines.append(_line(method, list(rows.values()), list(values[method].values()), gains, figures))
    return Block(
        task=task,
        metric=metric,
        title=spec.titles.get(metric, metric),
        higher_is_better=card.higher_is_better,
        lines=tuple(lines),
        others=tuple(figure for figure in figures if not figure.beside),
    )


def _line(
    method: str,
    rows: Sequence[Row],
    values: Sequence[float],
    gains: tuple[Interval | None, ...],
    figures: Sequence[PaperFigure],
) -> Line:
    reported = {name: [row["diagnostics"].get(name) for row in rows] for name in QUALITY}
    return Line(
        method=method,
        card=card_of(method),
        mean=_mean(values),
        seeds=len(rows),
        gains=gains,
        calls=_mean([row["calls"] for row in rows]),
        seconds=_mean([row["seconds"] for row in rows]),
        quality={
            name: _mean(known) for name, given in reported.items() if (known := [v for v in given if v is not None])
        },
        paper=next((figure for figure in figures if method in figure.beside), None),
    )


def _value(row: Row, metric: str) -> float:
    """The raw test value of `metric`; a derived metric has the utility of the one that was searched."""
    if metric == row["metric"]:
        return float(row["test"])
    searched = METRICS[row["metric"]].factory()
    return METRICS[metric].factory().raw(searched.utility(row["test"]))


def _gain(ours: Mapping[int, float], theirs: Mapping[int, float], sign: float) -> Interval | None:
    """The paired gain over the seeds that both have; positive is better."""
    seeds = sorted(set(ours) & set(theirs))
    if not seeds:
        return None
    return paired_interval([sign * ours[seed] for seed in seeds], [sign * theirs[seed] for seed in seeds])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _machines(rows: Iterable[Row]) -> tuple[str, ...]:
    """One line per kind of machine and version that rows were measured with, the most frequent one first."""
    counts: dict[str, int] = {}
    for row in rows:
        e = row["environment"]
        accelerator = f", {e['accelerator']}" if e["accelerator"] else ""
        line = (
            f"{e['cpu']}{accelerator}, {e['cores']} cores, {e['threads']} thread(s) per run, {e['system']}, "
            f"Python {e['python']}, torch {e['torch']}, metricopt {row['version']}"
        )
        counts[line] = counts.get(line, 0) + 1
    return tuple(sorted(counts, key=lambda line: -counts[line]))
