"""Do one run. The runner alone holds the test rows; a method never sees them."""

from __future__ import annotations

import functools
import math
import time
from typing import Any

import torch

from .. import __version__
from ..methods import METHODS
from ..metrics import Budget, Metric, get_metric
from ..problem import Problem
from ..runtime import describe_environment
from ..tasks import Materials, TabularTask, build_workload
from ..workload import Examples, Workload
from .reference_methods import REFERENCES, run_reference
from .run import Run


class Bench:
    """One trained model with its rows: everything that the runs of one task and seed share."""

    def __init__(self, *, data: str, sampler: str, seed: int) -> None:
        self.materials: Materials = TabularTask(data=data, sampler=sampler).build(seed)
        self._workloads: dict[tuple[str, int], Workload] = {}

    def workload(self, *, adapters: str, dim: int) -> Workload:
        """The model with these adapters, and the rows to train and to search on."""
        found = self._workloads.get((adapters, dim))
        if found is None:
            found = self._workloads[adapters, dim] = build_workload(self.materials, adapters=adapters, dim=dim)
        return found

    @property
    def test(self) -> Examples:
        """The rows that no method sees."""
        return Examples(inputs=self.materials.test.x, targets=self.materials.test.y)


@functools.lru_cache(maxsize=1)
def bench(data: str, sampler: str, seed: int) -> Bench:
    """The bench of this task and seed. A process keeps its last one, since runs come ordered by it."""
    return Bench(data=data, sampler=sampler, seed=seed)


def prepare(run: Run) -> None:
    """Train the network of this run's task and seed, so that it lies in the disk cache."""
    run.task.build(run.seed)


def run_one(run: Run) -> dict[str, Any]:
    """The row of one run, without its key: a JSON mapping.

    `val`, `test`: raw values of the metric at the proposal; `val_start`, `test_start`: at phi = 0. `calls` and
    `seconds` are those of the method alone. The same run gives the same row, but for `seconds`.

    Raises: whatever the method or the metric raises.
    """
    here = bench(run.data, run.sampler, run.seed)
    metric = get_metric(run.metric)
    if run.method in REFERENCES:
        found = run_reference(run.method, here.materials, metric, calls=run.calls)
    else:
        found = _run_method(run, here, metric)
    about = {name: value for name, value in here.materials.describe().items() if name not in ("task", "seed")}
    return {**found, "materials": about, "environment": describe_environment(), "version": __version__}


def _run_method(run: Run, here: Bench, metric: Metric) -> dict[str, Any]:
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
