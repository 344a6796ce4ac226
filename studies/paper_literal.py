"""Algorithm 1 as printed, with its step tuned and up to 5,000 metric calls of meta-training, on tables of the arena.

    python -m studies.paper_literal             an hour on one core; rows appended, resumable
    python -m studies.paper_literal --summary   what the rows say

The paper leaves the step alpha_t of the guided search open and grants 500 to 2,000 tasks for meta-training. For each
fit (one inner step of Reptile, as printed; a fit to all observations) and each budget the step with the best mean gain
on development problems is taken to tables of the arena with two classes. As printed: bare phi, random starts, no
output shift, the end of one run is returned.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from metricopt.bench.arena.presets import PRESETS
from metricopt.bench.arena.run import ArenaRun, perform
from metricopt.bench.arena.standings import best_known, problem_of
from metricopt.bench.kept_rows import fill
from metricopt.methods import METHODS
from metricopt.methods.registry import MethodEntry
from metricopt.runtime import ResultStore

ROWS = Path(__file__).parent / "results" / "paper_literal.jsonl"
ARENA_ROWS = Path(__file__).parent / "results" / "arena.jsonl"
#: How the value function is fitted.
FITS: dict[str, dict[str, Any]] = {
    "as printed": {},
    "fitted to all": {"learn": "offline", "norm": "none", "members": 4},
}
STEPS, CALLS = (0.001, 0.01, 0.1, 1.0), (200, 5000)
DEVELOPED_ON = ("phoneme:f2", "german:cost", "pima:average_precision", "synthetic:mcc")
#: The tables with two classes of the quick preset.
JUDGED_ON = PRESETS["quick"].problems[:8]


def method(fit: str, step: float) -> str:
    """Registers the variant where it is new; its name."""
    name = f"paper, {fit}, step {step:g}"
    if name not in METHODS:
        entry = METHODS["metricopt_paper"]
        config = replace(entry.method.config, search_lr=step, tasks=1000, **FITS[fit])  # type: ignore[attr-defined]
        METHODS.add(name, MethodEntry(card=entry.card, method=replace(entry.method, config=config)))  # type: ignore[type-var]
    return name


def gains(rows: list[dict[str, Any]], name: str, calls: int, problems: tuple[str, ...]) -> list[float]:
    """One for each problem that has a row, in hundredths."""
    found = {problem_of(r): 100 * r["gain"] for r in rows if r["method"] == name and r["settings"]["calls"] == calls}
    return [found[problem] for problem in problems if problem in found]


def best_step(rows: list[dict[str, Any]], fit: str, calls: int) -> float | None:
    """The step with the best mean gain on the development problems; None until all are there."""
    means = {step: gains(rows, method(fit, step), calls, DEVELOPED_ON) for step in STEPS}
    if any(len(one) < len(DEVELOPED_ON) for one in means.values()):
        return None
    return max(means, key=lambda step: sum(means[step]))


def developing(rows: list[dict[str, Any]]) -> Iterator[ArenaRun]:
    for problem in DEVELOPED_ON:
        for fit in FITS:
            for step in STEPS:
                for calls in CALLS:
                    yield ArenaRun(problem=problem, method=method(fit, step), seed=100, calls=calls)


def judging(rows: list[dict[str, Any]]) -> Iterator[ArenaRun]:
    """With the steps that came out best."""
    for problem in JUDGED_ON:
        for fit in FITS:
            for calls in CALLS:
                step = best_step(rows, fit, calls)
                assert step is not None
                yield ArenaRun(problem=problem, method=method(fit, step), seed=0, calls=calls)


def summary(rows: list[dict[str, Any]]) -> str:
    """Mean gains on the judged tables, as fractions of the best known gain, and how often worse than the start."""
    arena = [row for row in ResultStore(ARENA_ROWS).rows() if row["seed"] == 0]
    known = best_known(arena)
    lines = ["| | calls | step | gain, hundredths | of the best known gain | worse |", "|---|---|---|---|---|---|"]
    shown: list[tuple[str, str, int, str, list[dict[str, Any]]]] = [
        ("MetricOpt", "metricopt", calls, "", arena) for calls in (20, 200)
    ]
    for fit in FITS:
        for calls in CALLS:
            step = best_step(rows, fit, calls)
            if step is not None:
                shown.append((f"Algorithm 1, {fit}", method(fit, step), calls, f"{step:g}", rows))
    for title, name, calls, step, found in shown:
        each = {problem_of(r): r["gain"] for r in found if r["method"] == name and r["settings"]["calls"] == calls}
        each = {problem: each[problem] for problem in JUDGED_ON if problem in each}
        if len(each) == len(JUDGED_ON):
            mean = sum(each.values()) / len(each)
            share = sum(gain / known[problem] for problem, gain in each.items()) / len(each)
            worse = sum(gain < -0.005 for gain in each.values())
            lines.append(f"| {title} | {calls:,} | {step} | {100 * mean:+.1f} | {share:.2f} | {worse} of {len(each)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    for part in () if asked.summary else (developing, judging):
        fill(store, part(store.rows()), perform, workers=0)
    print(summary(store.rows()))


if __name__ == "__main__":
    main()
