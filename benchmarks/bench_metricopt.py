"""The paper's MetricOpt for one metric on A9A, from the trained model to the result, meta-training on 200 tasks:
seconds and memory.

Takes the published files where METRICOPT_DATA or the cache has them; nothing is downloaded. Else it makes a table of
the same size. One process on one thread: for matrices this small a second one waits more than it works. The peak of
memory includes Python, torch, the data and the pre-training.
"""

from __future__ import annotations

import math
import resource
import sys
from dataclasses import replace

import torch

from figure import Figure, main, seconds
from metricopt.methods import PhiMetricOpt, PhiValueConfig, Result
from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.tasks import DATASETS, Dataset, Pretraining, TabularTask, build_problem
from metricopt.tasks.datasets import A9A, DataEntry

TASKS = 200
ROWS, FEATURES = 48_842, 123


def data_name() -> str:
    """ "a9a" where its files are at hand, else the name of a made table of that size."""
    if all(any(place.is_file() for place in file.places()) for file in A9A.files):
        return "a9a"
    print("the files of A9A are not at hand: a made table of the same size stands in", file=sys.stderr)
    DATASETS.add("like a9a", DataEntry(title="binary columns", load=like_a9a, recipe=Pretraining()))
    return "like a9a"


def like_a9a() -> Dataset:
    """Indicator columns and a target, a quarter of it positive, that a few of them make likely."""
    stream = torch.Generator().manual_seed(0)
    features = (torch.rand(ROWS, FEATURES, generator=stream) < torch.rand(FEATURES, generator=stream) * 0.22).float()
    score = features[:, :40] @ torch.randn(40, generator=stream)
    chance = torch.sigmoid(2 * (score - score.quantile(0.8)))
    targets = (torch.rand(ROWS, generator=stream) < chance).float()
    return Dataset(name="like a9a", features=features, targets=targets, checksum="made")


def config() -> PhiValueConfig:
    return replace(PhiValueConfig(), tasks=TASKS)


def make_problem() -> Problem:
    """A problem on a model that was trained just now; the share of meta-training pays for all tasks."""
    settings = config()
    share = settings.share if settings.rounds else 1.0
    calls = math.ceil((TASKS * settings.observations + 1) / share)
    materials = TabularTask(data=data_name()).build(0, cache=False)
    return build_problem(materials, metric=get_metric("f1"), budget=Budget(calls=calls))


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    problem = make_problem()
    results: list[Result] = []
    took = seconds(lambda: results.append(PhiMetricOpt(config=config()).run(problem, seed=0)))
    print(f"{results[0].calls} metric calls", file=sys.stderr)
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    name = f"MetricOpt on phi for F1 on A9A, {TASKS} tasks"
    return [
        Figure(f"{name}, seconds", took, "s", bound=60.0),
        Figure(f"{name}, peak memory", peak / 2**30, "GiB", bound=2.0),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
