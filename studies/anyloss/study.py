"""From rows of the results store to the comparisons that the study prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .contenders import AGAINST, CONTENDERS
from .measures import MEASURES
from .spec import StudySpec
from .statistics import Ranks, SignTest, rank, sign_test

Row = Mapping[str, Any]

#: Rows by network and data set, then by loss.
_Rows = dict[tuple[str, str], dict[str, Row]]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One contender on one metric.

    Args:
        contender: its name.
        mean: of the metric over data sets.
        against: the sign test against each of `AGAINST`; None against itself.
    """

    contender: str
    mean: float
    against: tuple[SignTest | None, ...]


@dataclass(frozen=True, kw_only=True)
class Block:
    """All contenders on one metric with one network, over the data sets that have all their rows."""

    network: str
    metric: str
    data: tuple[str, ...]
    lines: tuple[Line, ...]
    ranks: Ranks

    def line(self, contender: str) -> Line:
        """The line of a contender."""
        return next(line for line in self.lines if line.contender == contender)


@dataclass(frozen=True, kw_only=True)
class LossLine:
    """One loss with one network, measured by every metric at a probability of one half.

    Args:
        means: over data sets, by metric.
        step_time, time: processor time of a step and of the whole training, as multiples of those with BCE (geometric
            means over data sets); None without BCE.
    """

    loss: str
    means: Mapping[str, float]
    step_time: float | None
    time: float | None


@dataclass(frozen=True, kw_only=True)
class Cross:
    """Every loss x every metric with one network, over the data sets that have all rows."""

    network: str
    data: tuple[str, ...]
    lines: tuple[LossLine, ...]


@dataclass(frozen=True, kw_only=True)
class Study:
    """Everything that the study prints. `missing` cells are neither in the store nor without data."""

    spec: StudySpec
    blocks: tuple[Block, ...]
    crosses: tuple[Cross, ...]
    data: Mapping[str, Row]
    missing: int
    absent: tuple[str, ...]
    machines: tuple[str, ...]


def make_study(spec: StudySpec, rows: Iterable[Row]) -> Study:
    """Compare what the rows of this very study hold; others are passed over."""
    by_key = {row["key"]: row for row in rows}
    found: _Rows = {}
    missing = 0
    absent = set(spec.absent)
    for cell in spec.cells():
        row = by_key.get(cell.key.digest)
        if row is not None:
            found.setdefault((cell.network, cell.data), {})[cell.loss] = row
        elif cell.data not in absent:
            missing += 1
    seen = {data: next(iter(rows.values())) for (_, data), rows in found.items()}
    blocks = (_block(spec, found, network, metric) for network in spec.networks for metric in MEASURES)
    crosses = (_cross(spec, found, network) for network in spec.networks)
    return Study(
        spec=spec,
        blocks=tuple(block for block in blocks if block is not None),
        crosses=tuple(cross for cross in crosses if cross is not None),
        data={name: seen[name] for name in spec.data if name in seen},
        missing=missing,
        absent=tuple(name for name in spec.absent if name not in seen),
        machines=_machines(row for rows in found.values() for row in rows.values()),
    )


def _block(spec: StudySpec, found: _Rows, network: str, metric: str) -> Block | None:
    names = [name for name, contender in CONTENDERS.items() if contender.loss_for(metric) in spec.losses]
    losses = {CONTENDERS[name].loss_for(metric) for name in names}
    data = tuple(name for name in spec.data if losses <= set(found.get((network, name), ())))
    if not data or len(names) < 2:
        return None
    values = {
        name: [
            _mean(found[network, one][CONTENDERS[name].loss_for(metric)][CONTENDERS[name].part][metric]) for one in data
        ]
        for name in names
    }
    lines = tuple(
        Line(
            contender=name,
            mean=_mean(values[name]),
            against=tuple(
                sign_test(values[name], values[base]) if base in values and base != name else None for base in AGAINST
            ),
        )
        for name in names
    )
    table = [[values[name][i] for name in names] for i in range(len(data))]
    return Block(network=network, metric=metric, data=data, lines=lines, ranks=rank(table))


def _cross(spec: StudySpec, found: _Rows, network: str) -> Cross | None:
    data = tuple(name for name in spec.data if set(spec.losses) <= set(found.get((network, name), ())))
    if not data:
        return None
    lines = []
    for loss in spec.losses:
        rows = [found[network, name][loss] for name in data]
        base = [found[network, name]["bce"] for name in data] if "bce" in spec.losses else None
        lines.append(
            LossLine(
                loss=loss,
                means={metric: _mean([_mean(row["test"][metric]) for row in rows]) for metric in MEASURES},
                step_time=None if base is None else _ratio(rows, base, per_step=True),
                time=None if base is None else _ratio(rows, base, per_step=False),
            )
        )
    return Cross(network=network, data=data, lines=tuple(lines))


def _ratio(rows: Sequence[Row], base: Sequence[Row], *, per_step: bool) -> float:
    """Geometric mean over data sets of the processor time, as a multiple of that of `base`."""

    def seconds(row: Row) -> float:
        return float(row["seconds"] / row["steps"] if per_step else row["seconds"])

    logs = [math.log(seconds(row) / seconds(other)) for row, other in zip(rows, base, strict=True)]
    return math.exp(_mean(logs))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _machines(rows: Iterable[Row]) -> tuple[str, ...]:
    """One line per kind of machine and version that rows were measured with."""
    found = []
    for row in rows:
        e = row["environment"]
        found.append(
            f"{e['cpu']}, {e['cores']} cores, {e['system']}, Python {e['python']}, torch {e['torch']}, "
            f"metricopt {row['version']}"
        )
    return tuple(dict.fromkeys(found))
