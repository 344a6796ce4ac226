"""Does a value function travel to another architecture, with no metric call at all?

    METRICOPT_DATA=folder python -m studies.transfer             rows appended to studies/results/transfer.jsonl
    python -m studies.transfer --summary                         what the rows say

A value function is learned on one model with 60 metric calls (MetricOpt's own). It is then climbed on a model of
another architecture without a call. Beside it: the same climb along a value function whose utilities were shuffled,
MetricOpt from scratch with 60 calls on that model, and a shift of the scores tuned with 60 calls. Every figure is on
test rows, which none of them sees; there is no acceptance test.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from metricopt._random import generator
from metricopt.bench.arena import metrics as judges
from metricopt.bench.arena.materials import Arena, long_tail, published_net, thin_digits
from metricopt.bench.arena.problems import ArenaProblem
from metricopt.bench.arena.run import Bench
from metricopt.methods import MetricOpt, ThresholdTuning
from metricopt.metrics import Budget
from metricopt.problem import Problem
from metricopt.runtime import ResultStore, RunKey, describe_environment
from metricopt.value import LearnedValue
from metricopt.workload import Examples

ROWS = Path(__file__).resolve().parent / "results" / "transfer.jsonl"
CALLS = 60
#: Name -> the model that is learned on, the one that is tuned, and metrics.
PAIRS: dict[str, tuple[Callable[[int], Arena], Callable[[int], Arena], tuple[str, ...]]] = {
    "MNIST tail, 48 channels -> 32, other training": (
        lambda seed: thin_digits(seed=seed),
        lambda seed: thin_digits(seed=seed, last=32, epochs=6),
        ("multi_g_mean", "worst_three"),
    ),
    "CIFAR-10 tail, 128 channels -> 96": (
        lambda seed: long_tail(seed=seed),
        lambda seed: long_tail(seed=seed, last=96, epochs=14),
        ("multi_g_mean", "worst_three", "accuracy"),
    ),
    **{
        f"ResNet-20 -> ResNet-{depth}": (
            lambda seed: published_net(depth=20, seed=seed),
            lambda seed, depth=depth: published_net(depth=depth, seed=seed),  # type: ignore[misc]
            ("worst_three", "class_cost"),
        )
        for depth in (32, 44, 56)
    },
    "ResNet-20 -> ResNet-32, dark images": (
        lambda seed: published_net(depth=20, seed=seed, corrupt=True),
        lambda seed: published_net(depth=32, seed=seed, corrupt=True),
        ("multi_g_mean", "worst_three"),
    ),
}


def figures(pair: str, judge: str, seed: int, *, calls: int = CALLS) -> dict[str, float]:
    """The metric on test rows of the second model: as trained, and after each way to tune it."""
    first, second, _ = PAIRS[pair]
    problem = ArenaProblem(base=pair, build=first, judge=getattr(judges, judge))
    learned = _learned(Bench(arena=first(seed), workloads={}), problem, seed, calls)
    here = Bench(arena=second(seed), workloads={})
    order = torch.randperm(len(learned), generator=generator("shuffled", seed))
    shuffled = replace(learned, utilities=learned.utilities[order])
    ways = {
        "0 calls, learned on the other model": (MetricOpt(prior=learned), 0),
        "0 calls, the same with shuffled utilities": (MetricOpt(prior=shuffled), 0),
        f"{calls} calls from scratch": (MetricOpt(), calls),
        f"{calls} calls, shift of the scores": (ThresholdTuning(), calls),
    }
    workload, test = here.workload("shifted"), here.arena.test
    metric = problem.metric(test)
    live = Problem(workload, metric=problem.metric(here.arena.search), budget=Budget())
    found = {}
    for name, (method, own) in ways.items():
        phi = method.run(live, seed=seed, budget=Budget(calls=own)).phi
        found[name] = _rated(workload, phi, test, metric)
    return {"as trained": _rated(workload, workload.start, test, metric), **found}


def _learned(here: Bench, problem: ArenaProblem, seed: int, calls: int) -> LearnedValue:
    live = Problem(here.workload("shifted"), metric=problem.metric(here.arena.search), budget=Budget())
    value = MetricOpt().run(live, seed=seed, budget=Budget(calls=calls)).value
    assert isinstance(value, LearnedValue)
    return value


def _rated(workload: Any, phi: torch.Tensor, test: Any, metric: Any) -> float:
    outputs = workload.predict(phi[None], of=Examples(inputs=test.x, targets=test.y))[0]
    return float(metric(outputs, test.y))


def share(row: Mapping[str, Any]) -> float | None:
    """The gain without a call as a share of the gain from scratch; None where that is less than half a hundredth."""
    test = row["test"]
    start = test["as trained"]
    scratch = next(value for name, value in test.items() if name.endswith("from scratch")) - start
    return (test["0 calls, learned on the other model"] - start) / scratch if scratch > 0.005 else None


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each pair and metric, and the median share of the gain that travels."""
    ways = list(rows[0]["test"])
    lines = ["| pair | metric | seed | " + " | ".join(ways) + " | share of the gain |", "|---|---|---|" + "---:|" * 6]
    for row in rows:
        own = share(row)
        cells = " | ".join(f"{row['test'][way]:.4f}" for way in ways)
        lines.append(
            f"| {row['task']} | {row['metric']} | {row['seed']} | {cells} | {'-' if own is None else f'{own:.2f}'} |"
        )
    shares = [own for row in rows if (own := share(row)) is not None]
    pairs = len({row["task"] for row in rows})
    if shares:
        told = (
            f"Median share of the gain from scratch that comes without a call: {statistics.median(shares):.2f} "
            f"({len(shares)} cases with a gain of more than half a hundredth, {pairs} pairs of models)."
        )
        lines += ["", told]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--pairs", default=",".join(str(number) for number in range(len(PAIRS))), help="by number")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = ResultStore(ROWS)
    chosen = [list(PAIRS)[int(number)] for number in options.pairs.split(",")]
    for seed in () if options.summary else map(int, options.seeds.split(",")):
        for pair in chosen:
            for judge in PAIRS[pair][2]:
                key = RunKey(task=pair, method="transfer", metric=judge, seed=seed, settings={"calls": CALLS})
                if key not in store:
                    found = figures(pair, judge, seed)
                    store.append(key, {"test": found, "environment": describe_environment()})
                    print(pair, judge, seed, {name: round(value, 4) for name, value in found.items()}, flush=True)
    print(summary(store.rows()))


if __name__ == "__main__":
    main()
