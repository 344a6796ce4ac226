"""How often the acceptance test takes one of two equally good models, and how often it finds a true gain.

For each metric and number of rows: trials in which nothing is to be gained (nominal: (1 - confidence) / 2 are accepted)
and trials with a true gain of two standard errors. Beside the power stands what an accepted gain measured, what the
result says to expect of it, and what it truly was.

    python studies/acceptance_level.py             the table, into studies/results/acceptance_level.md
    python studies/acceptance_level.py --check     exits 1 where too much is accepted
    python studies/acceptance_level.py --trials 400 --metrics accuracy,f1
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from metricopt import Metric, get_metric
from metricopt._random import generator
from metricopt.job.acceptance import paired_test
from metricopt.runtime import describe_environment

RESULTS = Path(__file__).parent / "results"
CONFIDENCE = 0.95
NOMINAL = (1 - CONFIDENCE) / 2
RESAMPLES = 100
#: Trials that measure how much a gain varies, and how it grows with the strength of the second model.
PILOT = 600


@dataclass(frozen=True)
class Case:
    """Two models that are rated by `metric`: the second one is better by `strength`.

    `make(rows, strength, generator)` gives targets, both outputs, and the groups or None.
    """

    metric: Metric
    how: str
    make: Callable[[int, float, torch.Generator], tuple[Tensor, Tensor, Tensor, Tensor | None]]


def _scores(positives: float, margin: float):
    def make(rows: int, strength: float, source: torch.Generator):
        targets = (torch.rand(rows, generator=source) < positives).float()
        shared, first, second = (torch.randn(rows, generator=source) for _ in range(3))
        sign = 2 * targets - 1
        noise = [0.7 * shared + 0.7 * own for own in (first, second)]
        return targets, margin * sign + noise[0], (margin + strength) * sign + noise[1], None

    return make


def _embeddings(rows: int, strength: float, source: torch.Generator):
    """Points of ten classes, half of their noise shared: the second model has less of its own."""
    labels = torch.arange(rows) % (rows // 10)
    centres = torch.randn(rows // 10, 6, generator=source)[labels]
    shared, first, second = (torch.randn(rows, 6, generator=source) for _ in range(3))
    return (
        labels,
        centres + 0.45 * shared + 0.45 * first,
        centres + 0.45 * shared + 0.45 * (1 - strength) * second,
        None,
    )


def recall_at_1(points: Tensor, labels: Tensor) -> float:
    """Share of points whose nearest neighbour has their label."""
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(math.inf)
    return float((labels[distances.argmin(dim=1)] == labels).double().mean())


def _grouped(rows: int, strength: float, source: torch.Generator):
    """Ten rows a group; whether a model is right depends half on the group, so rows of one group err together."""
    groups = torch.arange(rows) // 10
    count = int(groups[-1]) + 1
    label = (torch.rand(rows, generator=source) < 0.5).float()
    of_group = [torch.randn(count, generator=source)[groups] for _ in range(2)]
    own = [torch.randn(rows, generator=source) for _ in range(2)]
    sign = 2 * label - 1
    scores = [sign * (0.6 + s + 0.7 * g + 0.7 * o) for s, g, o in zip((0.0, strength), of_group, own, strict=True)]
    return torch.stack([label, groups.float()], dim=1), scores[0], scores[1], groups


def mean_over_groups(scores: Tensor, targets: Tensor) -> float:
    """Accuracy of each group, then the mean over groups."""
    right = ((scores.reshape(-1) > 0) == (targets[:, 0] == 1)).double()
    _, index = torch.unique(targets[:, 1], return_inverse=True)
    count = torch.bincount(index).double()
    return float((torch.bincount(index, weights=right) / count).mean())


def _regression(rows: int, strength: float, source: torch.Generator):
    targets = torch.exp(torch.randn(rows, generator=source))
    shared, first, second = (torch.randn(rows, generator=source) for _ in range(3))
    errors = [0.1 * shared + 0.1 * first, (0.1 * shared + 0.1 * second) * (1 - strength)]
    return targets, targets * torch.exp(errors[0]), targets * torch.exp(errors[1]), None


def within_a_tenth(values: Tensor, targets: Tensor) -> float:
    return float(((values.reshape(-1) - targets).abs() <= 0.1 * targets.abs()).double().mean())


CASES: dict[str, Case] = {
    "accuracy": Case(get_metric("accuracy"), "rows", _scores(0.5, 1.0)),
    "f1": Case(get_metric("f1"), "rows", _scores(0.2, 1.0)),
    "average_precision": Case(get_metric("average_precision"), "rows", _scores(0.2, 1.0)),
    "recall_at_1": Case(Metric(recall_at_1, name="recall at 1", higher_is_better=True), "sets", _embeddings),
    "by_group": Case(Metric(mean_over_groups, name="mean over groups", higher_is_better=True), "sets", _grouped),
    "within_a_tenth": Case(Metric(within_a_tenth, name="within 10 %", higher_is_better=True), "rows", _regression),
}


def gains(case: Case, rows: int, strength: float, trials: int, seed: str) -> Tensor:
    """Measured gains `(trials,)`, each on fresh rows."""
    found = []
    for trial in range(trials):
        targets, first, second, _ = case.make(rows, strength, generator(seed, rows, trial))
        found.append(case.metric(second, targets) - case.metric(first, targets))
    return torch.tensor(found, dtype=torch.float64)


def strength_of(case: Case, rows: int) -> tuple[float, float]:
    """The strength whose true gain is two standard errors, and that gain."""
    error = float(gains(case, rows, 0.0, PILOT, "pilot").std())
    low, high = 0.0, 0.9
    for step in range(12):
        middle = (low + high) / 2
        gain = float(gains(case, rows, middle, PILOT // 2, f"strength {step}").mean())
        low, high = (middle, high) if gain < 2 * error else (low, middle)
    strength = (low + high) / 2
    return strength, float(gains(case, rows, strength, 2 * PILOT, "true gain").mean())


def run(name: str, rows: int, trials: int) -> dict[str, object]:
    """One line of the table."""
    torch.set_num_threads(1)
    case = CASES[name]
    strength, gain = strength_of(case, rows)
    accepted = {"nothing": 0, "gain": 0}
    measured, expected = [], []
    for kind, size in (("nothing", 0.0), ("gain", strength)):
        for trial in range(trials):
            targets, first, second, groups = case.make(rows, size, generator(name, kind, rows, trial))
            verdict = paired_test(
                case.metric,
                first,
                second,
                targets,
                resamples=RESAMPLES,
                confidence=CONFIDENCE,
                seed=trial,
                how=case.how,  # type: ignore[arg-type]
                groups=groups,
            )
            accepted[kind] += verdict.accepted
            if verdict.accepted and kind == "gain":
                measured.append(verdict.after - verdict.before)
                expected.append(verdict.expected)
    mean = [float(torch.tensor(values or [math.nan]).mean()) for values in (measured, expected)]
    return {
        "metric": name,
        "rows": rows,
        "trials": trials,
        "false": accepted["nothing"] / trials,
        "power": accepted["gain"] / trials,
        "true_gain": gain,
        "measured_gain": mean[0],
        "expected_gain": mean[1],
    }


def limit(trials: int) -> float:
    """The most that the nominal level gives in so many trials, but for one in forty."""
    return NOMINAL + 1.96 * math.sqrt(NOMINAL * (1 - NOMINAL) / trials)


def table(lines: list[dict[str, object]]) -> str:
    machine = describe_environment()
    head = (
        f"False acceptance and power of the acceptance test, {RESAMPLES} resamples, {100 * CONFIDENCE:g} % intervals: "
        f"nominal {100 * NOMINAL:g} %.\n`python studies/acceptance_level.py`, {machine['cpu']}, torch "
        f"{machine['torch']}.\n\n"
        "| metric | rows | trials | accepted, nothing to gain | accepted, gain of 2 standard errors | true gain | "
        "measured, where accepted | expected, where accepted |\n|---|---|---|---|---|---|---|---|\n"
    )
    body = "".join(
        f"| {x['metric']} | {x['rows']} | {x['trials']} | {100 * float(x['false']):.1f} % | "  # type: ignore[arg-type]
        f"{100 * float(x['power']):.0f} % | {x['true_gain']:.4f} | {x['measured_gain']:.4f} | "
        f"{x['expected_gain']:.4f} |\n"  # type: ignore[arg-type]
        for x in lines
    )
    return head + body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 where too much is accepted")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--metrics", default=",".join(CASES))
    parser.add_argument("--rows", default="200,1000")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    cells = [(name, int(rows)) for name in options.metrics.split(",") for rows in options.rows.split(",")]
    lines = []
    with ProcessPoolExecutor(options.workers) as pool:
        futures = [pool.submit(run, name, rows, options.trials) for name, rows in cells]
        for future in futures:
            lines.append(future.result())
            print(json.dumps(lines[-1]), flush=True)
    text = table(lines)
    print(text)
    if set(options.metrics.split(",")) == set(CASES) and not options.check:
        (RESULTS / "acceptance_level.md").write_text(text)
        (RESULTS / "acceptance_level.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    bad = [line for line in lines if float(line["false"]) > limit(options.trials)]  # type: ignore[arg-type]
    for line in bad:
        print(f"too much accepted: {line['metric']} on {line['rows']} rows, {line['false']}", file=sys.stderr)
    return int(options.check and bool(bad))


if __name__ == "__main__":
    sys.exit(main())
