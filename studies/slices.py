"""Does a value function that looks into slices gain more where the metric is about a part of the rows?

    python -m studies.slices              half an hour on one core; rows appended to studies/results/slices.jsonl
    python -m studies.slices --summary    what the rows say

MetricOpt on development tables (not those of the arena, seeds from 100 on): the worst group by balanced accuracy, where
only the metric knows the groups, and metrics that know no groups. It reads no slices, so many clusters of the features,
or the groups by name. Gains are of rows that the search never saw.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metricopt._random import generator
from metricopt.bench.arena import metrics as judges
from metricopt.bench.arena.bases import training_loss
from metricopt.bench.arena.materials import Arena, Columns, binary
from metricopt.bench.arena.materials import table as made_table
from metricopt.bench.arena.problems import ArenaProblem
from metricopt.job.adaptation import adapt
from metricopt.methods import METHODS
from metricopt.metrics import Budget
from metricopt.problem import Problem
from metricopt.profiles import Slices
from metricopt.workload import Examples, TensorWorkload
from studies.cells import kept, measured

ROWS = Path(__file__).parent / "results" / "slices.jsonl"
WAYS = ("none", "4 clusters", "8 clusters", "16 clusters", "named")
CALLS, SEEDS = (100,), (100, 101, 102)


def quarters(x: Tensor, first: int, second: int) -> Tensor:
    """`(N,)`, 0 to 3: above the middle of two features or not."""
    return (x[:, first] > x[:, first].median()).long() + 2 * (x[:, second] > x[:, second].median()).long()


def grouped(load: Callable[[], Columns], first: int, second: int) -> Columns:
    found = load()
    return Columns(x=found.x, y=found.y, about=quarters(found.x, first, second)[:, None].float())


def corner() -> Columns:
    """Made rows whose labels follow another rule in a corner of the space, a fifth of the rows."""
    source = generator("corner")
    x = torch.randn(16_000, 10, generator=source)
    group = ((x[:, 5] > 0.2) & (x[:, 6] < 0.0)).float()
    score = (1 - group) * (x[:, 0] - x[:, 1] * x[:, 2]) + group * (x[:, 3] - 1.5) - 0.2
    y = (torch.rand(len(x), generator=source) < torch.sigmoid(2.5 * score)).float()
    return Columns(x=x, y=y, about=group[:, None])


#: Rows, which features the groups are told from, and the metrics.
TABLES: dict[str, tuple[Callable[[], Columns], tuple[str, ...]]] = {
    "corner": (corner, ("worst_group", "f2")),
    "phoneme": (partial(grouped, partial(binary, "phoneme"), 0, 1), ("worst_group", "f2", "mcc")),
    "german": (partial(grouped, partial(binary, "german"), 0, 1), ("worst_group", "cost")),
    "pima": (partial(grouped, partial(binary, "pima"), 1, 7), ("worst_group", "average_precision")),
}


def named(arena: Arena) -> Slices:
    """The groups of the metric, looked up by the row: what a user who knows them would tell."""
    parts = (arena.train, arena.search)
    known = {row.numpy().tobytes(): int(group) for part in parts for row, group in zip(part.x, part.about, strict=True)}
    names = [f"group {number}" for number in range(max(known.values()) + 1)]
    return Slices(names=names, of=lambda x: torch.tensor([known[row.numpy().tobytes()] for row in x]))


def perform(*, table: str, metric: str, way: str, seed: int, calls: int) -> dict[str, Any]:
    """What a search gains that reads the slices in this way."""
    arena = made_table(TABLES[table][0], key=f"slices {table}", outputs="binary", seed=seed)
    problem = ArenaProblem(base=table, build=lambda _: arena, judge=getattr(judges, metric))
    slices = {"none": None, "named": named(arena)}.get(way) if way in ("none", "named") else int(way.split()[0])
    adapted = adapt(copy.deepcopy(arena.model).eval(), "auto", dim=16, probe=arena.train.x[:8], kind="binary")
    workload = TensorWorkload(
        adapted,
        loss=training_loss("binary"),
        train=Examples(inputs=arena.train.x, targets=arena.train.y),
        val=Examples(inputs=arena.search.x, targets=arena.search.y),
        outputs="binary",
        slices=slices,
    )
    live = Problem(workload, metric=problem.metric(arena.search), budget=Budget())
    found = METHODS["metricopt"].method.run(live, seed=seed, budget=Budget(calls=calls))
    points = torch.stack([workload.start, found.phi])
    outputs = workload.predict(points, of=Examples(inputs=arena.test.x, targets=arena.test.y))
    test = problem.metric(arena.test)
    before, after = (test(one, arena.test.y) for one in outputs)
    return {"start": before, "gain": after - before, "seconds": found.seconds}


def summary(rows: list[dict[str, Any]]) -> str:
    """Mean gains in hundredths, and the paired differences from reading no slices with their standard errors."""
    lines = ["| metric | calls | no slices | " + " | ".join(WAYS[1:]) + " |", "|---" * (len(WAYS) + 2) + "|"]
    gains = {(r["table"], r["metric"], r["seed"], r["calls"], r["way"]): 100 * r["gain"] for r in rows}
    for title, chosen in (("worst group", True), ("metrics without groups", False)):
        for calls in CALLS:
            cells = sorted({k[:4] for k in gains if k[3] == calls and (k[1] == "worst_group") == chosen})
            cells = [cell for cell in cells if all((*cell, way) in gains for way in WAYS)]
            if not cells:
                continue
            table = torch.tensor([[gains[*cell, way] for way in WAYS] for cell in cells], dtype=torch.float64)
            apart = table[:, 1:] - table[:, :1]
            errors = apart.std(dim=0) / len(cells) ** 0.5
            told = [f"{a:+.1f} ± {e:.1f}" for a, e in zip(apart.mean(dim=0).tolist(), errors.tolist(), strict=True)]
            lines.append(f"| {title} | {calls} | {float(table[:, 0].mean()):+.1f} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"table": name, "metric": metric, "way": way, "seed": seed, "calls": calls}
        for seed in SEEDS
        for name, (_, metrics) in TABLES.items()
        for metric in metrics
        for calls in CALLS
        for way in WAYS
    ]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
