"""Does a value function travel? Learn it on one model, use it on the next one without searching.

    python studies/transfer.py             seeds 0-9, rows appended to studies/results/transfer.jsonl
    python studies/transfer.py --summary   what the rows say

Two models of the same architecture are trained on the same rows of A9A from different initial weights: last month's
model and this month's. A value function is learned on the first with 500 metric calls. The second is then tuned by it
without a call (two more compare what came with the start, and the better one is kept), or with 20; beside it the
threshold with 20 and with 200 calls, and MetricOpt with 200 calls, all on the validation rows. Every figure is on test
rows, which none of them sees. There is no acceptance test: what each way says is best on the validation rows is rated.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from metricopt import LearnedValue, Metric, get_metric, learn_value, optimize
from metricopt._random import derive_seed, generator
from metricopt.bench.interval import paired_interval
from metricopt.runtime import ResultStore, RunKey, describe_environment
from metricopt.tasks import Materials, TabularTask, pretrain
from metricopt.tasks.mlp import mlp

HERE = Path(__file__).resolve().parent
ROWS = HERE / "results" / "transfer.jsonl"
METRICS = ("mcr", "f1")
SAMPLERS = ("balanced", "plain")
LEARNING_CALLS = 500
#: Name, what `optimize` is given, and whether it uses the value function.
WAYS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("learned on the other model, 0 calls + 2 to compare", {"budget": 2}, True),
    ("learned on the other model, 20 calls", {"budget": 20}, True),
    ("tuned threshold, 20 calls", {"budget": 20, "method": "threshold"}, False),
    ("tuned threshold, 200 calls", {"budget": 200, "method": "threshold"}, False),
    ("MetricOpt, 200 calls", {"budget": 200, "method": "metricopt"}, False),
)
START = "as trained"


def sibling(materials: Materials, task: TabularTask) -> nn.Module:
    """A model like that of `materials`, trained on the same rows from other weights in another order."""
    seed = derive_seed(materials.seed, "sibling")
    model = mlp(materials.train.x.shape[1], generator=generator(seed, "weights"), dropout=task.pretraining.dropout)
    return pretrain(
        model, materials.train.x, materials.train.y, recipe=task.pretraining, sampler=task.sampler, seed=seed
    )


def figures(sampler: str, metric: Metric, seed: int) -> dict[str, float]:
    """The metric on test rows, for the model as it was trained and after each way to tune it."""
    task = TabularTask(data="a9a", sampler=sampler)
    materials = task.build(seed)
    train, val = ((part.x, part.y) for part in (materials.train, materials.val))
    given: dict[str, Any] = {"metric": metric, "train": train, "val": val, "sampler": sampler, "seed": seed}
    learned: LearnedValue = learn_value(sibling(materials, task), calls=LEARNING_CALLS, acceptance=None, **given)
    found = {START: _rated(metric, materials.model, materials)}
    for name, options, transfers in WAYS:
        extra = {"value": learned} if transfers else {}
        outcome = optimize(materials.model, **given, **options, **extra, acceptance=None, quiet=True)
        found[name] = _rated(metric, outcome.model, materials)
    return found


@torch.no_grad()
def _rated(metric: Metric, model: nn.Module, materials: Materials) -> float:
    return metric(model(materials.test.x), materials.test.y)


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds, and in brackets the paired gain over the model as trained in hundredths."""
    cells = [(sampler, metric) for sampler in SAMPLERS for metric in METRICS]
    heads = [f"{get_metric(metric).name}, {sampler} {_arrow(metric)}" for sampler, metric in cells]
    lines = ["| way | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name in (START, *(way[0] for way in WAYS)):
        told = []
        for sampler, metric in cells:
            mine = [row for row in rows if (row["task"], row["metric"]) == (f"a9a-{sampler}", metric)]
            told.append(_cell(mine, name, higher=get_metric(metric).higher_is_better))
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def _arrow(metric: str) -> str:
    return "↑" if get_metric(metric).higher_is_better else "↓"


def _cell(rows: Sequence[Mapping[str, Any]], name: str, *, higher: bool) -> str:
    values = [row["test"][name] for row in rows]
    if not values:
        return ""
    mean = math.fsum(values) / len(values)
    if name == START:
        return f"{mean:.4f}"
    sign = 100 if higher else -100
    gain = paired_interval([sign * v for v in values], [sign * row["test"][START] for row in rows])
    return f"{mean:.4f} ({gain.mean:+.2f} ± {gain.half or 0:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    for seed in range(0 if options.summary else options.seeds):
        for sampler in SAMPLERS:
            for metric in METRICS:
                settings = {
                    "ways": {name: dict(options) for name, options, _ in WAYS},
                    "learning_calls": LEARNING_CALLS,
                }
                key = RunKey(task=f"a9a-{sampler}", method="transfer", metric=metric, seed=seed, settings=settings)
                if key not in store:
                    found = figures(sampler, get_metric(metric), seed)
                    store.append(key, {"test": found, "environment": describe_environment()})
                    print(sampler, metric, seed, {name: round(value, 4) for name, value in found.items()}, flush=True)
    print(summary(store.rows()))


if __name__ == "__main__":
    main()
