"""Rows of a study, one a cell, kept as soon as they are measured: what was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

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
