"""Do one run. The runner alone holds the test rows; a method never sees them."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import torch

from .. import __version__
from .._errors import ConfigError
from ..job.preparation import Settings, own_modes, prepare, ready
from ..job.problem_function import build_problem
from ..methods import METHODS
from ..metrics import Budget, Metric, get_metric
from ..problem import Problem
from ..runtime import describe_environment
from ..tasks import Materials, TabularTask, build_workload
from ..workload import Examples, Workload
from .references import REFERENCES
from .run import Run


class Bench:
    """One trained model with its rows: everything that the runs of one task and seed share."""

    def __init__(self, *, data: str, sampler: str, seed: int) -> None:
        self.materials: Materials = TabularTask(data=data, sampler=sampler).build(seed)
        self.test = Examples(inputs=self.materials.test.x, targets=self.materials.test.y)
        self._workloads: dict[tuple[str, int], Workload] = {}

    def workload(self, *, adapters: str, dim: int) -> Workload:
        """The model with these adapters, and the rows to train and to search on. `test` is what no method sees."""
        found = self._workloads.get((adapters, dim))
        if found is None:
            found = self._workloads[adapters, dim] = build_workload(self.materials, adapters=adapters, dim=dim)
        return found


class OwnBench:
    """The same for a problem that a function of the user's builds; the holdout is its test rows.

    Args:
        data: names the function.
        metric: what is wanted.
    """

    def __init__(self, data: str, metric: Metric) -> None:
        parts = build_problem(data)
        model, train, val = (parts.pop(name) for name in ("model", "train", "val"))
        acceptance = parts.pop("acceptance", 0.4)
        settings = Settings.among(parts)
        with own_modes():
            made = prepare(model, metric=metric, train=train, val=val, acceptance=acceptance, settings=settings)
        if not isinstance(made.holdout, Examples):
            raise ConfigError(f"{data} needs rows to test on: let acceptance be a share of val, or examples")
        self._workload = made.workload
        self.test = ready(made.workload.adapted.model, made.holdout, made.workload.adapted.phi.device)

    def workload(self, **_: object) -> Workload:
        return self._workload


@functools.lru_cache(maxsize=1)
def bench(data: str, sampler: str, seed: int) -> Bench:
    """The bench of this task and seed. A process keeps its last one, since runs come ordered by it."""
    return Bench(data=data, sampler=sampler, seed=seed)


@functools.lru_cache(maxsize=1)
def own_bench(data: str, metric: str) -> OwnBench:
    """The bench of a user's problem. A process keeps its last one."""
    return OwnBench(data, get_metric(metric))


def prepare_run(run: Run) -> None:
    """Train the network of this run's task and seed, so that it lies in the disk cache."""
    if not run.is_own:
        run.task.build(run.seed)


def run_one(run: Run) -> dict[str, Any]:
    """The row of one run, without its key: a JSON mapping.

    `val`, `test`: raw values of the metric at the proposal; `val_start`, `test_start`: at phi = 0. `calls` and
    `seconds` are those of the method alone. The same run gives the same row, but for `seconds`.

    Raises: whatever the method or the metric raises.
    """
    metric = get_metric(run.metric)
    if run.is_own:
        found = _run_method(run, own_bench(run.data, run.metric), metric)
        return {**found, "environment": describe_environment(), "version": __version__}
    here = bench(run.data, run.sampler, run.seed)
    if run.method in REFERENCES:
        found = REFERENCES[run.method].run(here.materials, metric, run.calls)
    else:
        found = _run_method(run, here, metric)
    about = {name: value for name, value in here.materials.describe().items() if name not in ("task", "seed")}
    return {**found, "materials": about, "environment": describe_environment(), "version": __version__}


def _run_method(run: Run, here: Bench | OwnBench, metric: Metric) -> dict[str, Any]:
    workload = here.workload(adapters=run.adapters, dim=run.dim)
    problem = Problem(workload, metric=metric, budget=Budget()).with_budget(Budget(calls=run.calls))
    began = time.perf_counter()
    result = METHODS[run.method].method.run(problem, seed=run.seed)
    seconds = time.perf_counter() - began
    phis = torch.stack([result.phi, workload.start])
    values: dict[str, float] = {}
    for name, of, targets in (("val", None, workload.targets), ("test", here.test, here.test.targets)):
        at_proposal, at_start = (metric(scores, targets) for scores in workload.predict(phis, of=of))
        values |= {name: at_proposal, f"{name}_start": at_start}
    return {
        **values,
        "calls": result.calls,
        "seconds": seconds,
        "diagnostics": {name: _number(value) for name, value in result.diagnostics.items()},
    }


def _number(value: float) -> float | None:
    """A figure that JSON can hold; None where it is not defined."""
    return float(value) if math.isfinite(value) else None
