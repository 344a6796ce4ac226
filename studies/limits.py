"""Do limits hold on rows that nobody saw? Metrics subject to limits, on tables, with and without a margin.

    METRICOPT_DATA=folder python -m studies.limits            ten minutes; rows appended to studies/results/limits.jsonl
    python -m studies.limits --summary                        what the rows say

Models and rows are those of the arena (half to train, a fifth to search on, the rest judges). No acceptance test in
between: what the search proposes is judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from metricopt.bench.arena.run import bench
from metricopt.methods import METHODS
from metricopt.metrics import Budget, constrained, get_metric
from metricopt.problem import Problem
from metricopt.workload import Examples
from studies.cells import kept, measured

ROWS = Path(__file__).parent / "results" / "limits.jsonl"
#: Table, what is wanted, and what must hold.
CASES = (
    ("phoneme", "precision", "recall >= 0.9"),
    ("german", "precision", "recall >= 0.8"),
    ("magic", "recall", "false_positive_rate <= 0.1"),
    ("telco_churn", "precision", "recall >= 0.8"),
    ("mammography", "precision", "recall >= 0.8"),
    ("spambase", "recall", "false_positive_rate <= 0.02"),
    ("a9a", "recall", "selection_rate <= 0.2"),
)
MARGINS = (0.0, 1.0, 1.64)
METHODS_RUN = ("threshold", "metricopt")
CALLS = 100


def perform(*, table: str, wanted: str, limit: str, margin: float, method: str, seed: int) -> dict[str, Any]:
    """Objective and slack of the limit on the rows that judge, before and after."""
    here = bench(table, seed)
    metric = constrained(wanted, limit, margin=margin)
    constraint = metric.fn.constraints[0]  # type: ignore[attr-defined]
    entry = METHODS[method]
    workload = here.workload(entry.card.adapters)
    problem = Problem(workload, metric=metric, budget=Budget())
    result = entry.method.run(problem, seed=seed, budget=Budget(calls=CALLS))
    test = here.arena.test
    points = torch.stack([workload.start, result.phi])
    before, after = workload.predict(points, of=Examples(inputs=test.x, targets=test.y)).cpu()
    objective = get_metric(wanted)
    value = constraint.metric(after, test.y)
    error = constraint.measured(after, test.y)[1]
    return {
        "objective": objective(after, test.y),
        "objective_before": objective(before, test.y),
        "slack": constraint.slack(value),
        "slack_before": constraint.slack(constraint.metric(before, test.y)),
        "error": error,
        "kept_on_search": constraint.slack(
            constraint.metric(workload.predict(result.phi[None])[0].cpu(), here.arena.search.y)
        )
        >= 0,
    }


def summary(rows: Iterable[dict[str, Any]]) -> str:
    """A table: how often a limit holds on rows that judge, by how much it is missed, and what the margin costs."""
    rows = list(rows)
    seeds = len({row["seed"] for row in rows})
    lines = [
        f"{len({(row['table'], row['limit']) for row in rows})} tables, {seeds} seeds, {CALLS} calls.",
        "",
        "| method | margin, standard errors | limit holds on rows that judge | broken by 2 standard errors "
        + "| mean slack, hundredths | objective, mean |",
        "|---|---|---|---|---|---|",
    ]
    for method in METHODS_RUN:
        for margin in MARGINS:
            these = [row for row in rows if (row["method"], row["margin"]) == (method, margin)]
            if not these:
                continue
            held = sum(row["slack"] >= 0 for row in these) / len(these)
            broken = sum(row["slack"] < -2 * row["error"] for row in these) / len(these)
            slack = 100 * sum(row["slack"] for row in these) / len(these)
            mean = sum(row["objective"] for row in these) / len(these)
            lines.append(
                f"| {METHODS[method].card.title} | {margin:g} | {100 * held:.0f} % | {100 * broken:.0f} % "
                f"| {slack:+.1f} | {mean:.3f} |"
            )
    plain = [row for row in rows if (row["method"], row["margin"]) == (METHODS_RUN[0], MARGINS[0])]
    held = sum(row["slack_before"] >= 0 for row in plain) / max(len(plain), 1)
    mean = sum(row["objective_before"] for row in plain) / max(len(plain), 1)
    lines.append(f"| as trained | | {100 * held:.0f} % | | | {mean:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"table": table, "wanted": wanted, "limit": limit, "margin": margin, "method": method, "seed": seed}
        for table, wanted, limit in CASES
        for seed in range(asked.seeds)
        for method in METHODS_RUN
        for margin in MARGINS
    ]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
