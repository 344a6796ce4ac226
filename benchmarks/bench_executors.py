"""64 calls of a metric that waits 0.2 s, on 8 workers against one after the other."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor

from figure import Figure, main, seconds
from metricopt.adapters import OutputShift, attach
from metricopt.asking import AskOnExecutor
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, Metric
from metricopt.problem import Problem
from metricopt.runtime import make_executor
from metricopt.workload import TensorWorkload

CALLS, WORKERS, WAIT = 64, 8, 0.2


def waits(scores: Tensor, targets: Tensor) -> float:
    time.sleep(WAIT)
    return float((scores.reshape(-1) > 0).double().mean())


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    x, y = torch.randn(64, 3), torch.arange(64.0) % 2
    adapted = attach(torch.nn.Linear(3, 1).eval(), OutputShift(), probe=x[:2])
    workload = TensorWorkload(adapted, loss=cross_entropy, train=(x, y), val=(x, y))
    metric = Metric(waits, name="waits", higher_is_better=True)
    phis = torch.randn(CALLS, workload.dim)
    serial_problem = Problem(workload, metric=metric, budget=Budget(calls=CALLS))
    serial = seconds(partial(serial_problem.observe, phis))
    figures = []
    for name in ("threads", "processes", "ray"):
        with make_executor(name, workers=WORKERS) as executor:
            ask = AskOnExecutor(executor, workers=WORKERS)
            warm = Problem(workload, metric=metric, budget=Budget(calls=WORKERS), ask=ask)
            warm.observe(phis[:WORKERS])  # workers start
            problem = Problem(workload, metric=metric, budget=Budget(calls=CALLS), ask=ask)
            took = seconds(partial(problem.observe, phis))
        assert torch.equal(problem.memory.utilities, serial_problem.memory.utilities)
        title = f"serial / {name}, {CALLS} calls of {WAIT} s, {WORKERS} workers"
        figures.append(Figure(title, serial / took, "x", bound=6.0, direction="at least"))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
