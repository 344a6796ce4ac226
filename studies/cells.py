"""Rows of a study, one a cell, kept as soon as they are measured: what was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metricopt.runtime import describe_environment


def kept(path: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measured(
    path: Path, cells: Iterable[dict[str, Any]], perform: Callable[..., dict[str, Any]]
) -> list[dict[str, Any]]:
    """All rows, after `perform(**cell)` of the cells that have none; what it gives stands beside the cell."""
    rows = kept(path)
    for cell in cells:
        if any(cell.items() <= row.items() for row in rows):
            continue
        found = perform(**cell)
        print(json.dumps(cell | found), flush=True)
        rows.append(cell | found | {"environment": describe_environment()})
        with path.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return rows


def apart(ours: Tensor, others: Tensor) -> str:
    """The mean of paired differences with its standard error, for a table."""
    differences = ours - others
    return f"{float(differences.mean()):+.1f} ± {float(differences.std() / len(differences) ** 0.5):.1f}"


def compared(rows: list[dict[str, Any]], *, metrics: Sequence[str], methods: Sequence[str]) -> str:
    """Mean gains in hundredths, and how much more than each rival MetricOpt gains, paired, with standard errors."""
    names = [name for name in methods if name != "metricopt"]
    lines = [f"| metric | seeds | start | MetricOpt | {' | '.join(f'more than {name}' for name in names)} |"]
    lines.append("|---" * (4 + len(names)) + "|")
    for metric in metrics:
        mine = [row for row in rows if row["metric"] == metric]
        gains = {name: {r["seed"]: 100 * r["gain"] for r in mine if r["method"] == name} for name in methods}
        seeds = sorted(set.intersection(*map(set, gains.values())))
        if len(seeds) < 2:
            continue
        ours, *others = (torch.tensor([gains[name][seed] for seed in seeds]) for name in ("metricopt", *names))
        more = " | ".join(apart(ours, one) for one in others)
        start = 100 * sum({r["seed"]: r["start"] for r in mine}[seed] for seed in seeds) / len(seeds)
        lines.append(f"| {metric} | {len(seeds)} | {start:.1f} | {float(ours.mean()):+.1f} | {more} |")
    return "\n".join(lines)
