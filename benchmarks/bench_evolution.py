"""The search for losses: candidates trained side by side or one by one, and what the filters spare.

Side by side: 25 formulas, each on its own MLP for MNIST-sized rows (784-W-10), against a plain loop over them: one
network, one formula, torch's own SGD. The matrix products are the same on both sides; how many times as fast the loop
would be if it did nothing else is printed beside. Filters: steps of training that a search needs with all filters, as a
share of those without any, at equal generations; the final errors are printed beside.
"""

from __future__ import annotations

import copy
import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from figure import Figure, alternate, main
from metricopt._random import generator
from metricopt.evolution import (
    PRESETS,
    BaseTask,
    EvolutionSettings,
    FormulaLosses,
    SymbolicLoss,
    canonical,
    generations,
    initial,
    taught,
)
from metricopt.evolution.genetic import Breeder
from metricopt.losses import cross_entropy
from metricopt.metrics import get_metric

CANDIDATES, STEPS = 25, 15


def task_of(width: int, *, rows: int = 2000, batch: int = 128, noise: float = 0.8) -> BaseTask:
    """Rows like those of MNIST: ten classes in 784 numbers."""
    source = generator("benchmark of evolution")
    centres = torch.rand(10, 784, generator=source)
    y = torch.randint(10, (rows,), generator=source)
    x = centres[y] + noise * torch.randn(rows, 784, generator=source)
    return BaseTask(
        net=nn.Sequential(nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10)),
        x=x[: rows // 2],
        y=y[: rows // 2],
        val_x=x[rows // 2 :],
        val_y=y[rows // 2 :],
        outputs="multiclass",
        metric=get_metric("mcr"),
        objective=cross_entropy,
        batch=batch,
        rate=0.05,
    )


def sides(width: int, batch: int = 128) -> tuple[Callable[[], object], Callable[[], object]]:
    """One by one, and side by side."""
    task = task_of(width, batch=batch)
    breeder = Breeder(EvolutionSettings(), generator("benchmark formulas"))
    formulas = [canonical(tree) for tree in breeder.first(4 * CANDIDATES)]
    formulas = [formula for formula in formulas if formula.is_loss][:CANDIDATES]

    def together() -> torch.Tensor:
        return taught(task, FormulaLosses(formulas, "multiclass"), steps=STEPS, seed=0).predict(task.val_x)

    def in_turn() -> torch.Tensor:
        found = []
        for formula in formulas:
            net, loss = copy.deepcopy(task.net), SymbolicLoss(formula, "multiclass")
            net.load_state_dict(initial(net, source=generator("learners", 0)))
            optimizer = torch.optim.SGD(net.parameters(), task.rate)
            batches = generator("batches", 0)
            for _ in range(STEPS):
                rows = torch.randint(len(task.x), (task.batch,), generator=batches)
                optimizer.zero_grad()
                value = loss(net(task.x[rows]), task.y[rows])
                if value.requires_grad:
                    value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
            with torch.no_grad():
                found.append(net(task.val_x))
        return torch.stack(found)

    one, other = (
        torch.tensor([task.error(scores) for scores in run()], dtype=torch.float64).nan_to_num(posinf=9.0)
        for run in (together, in_turn)
    )
    assert float((one - other).abs().max()) < 1e-5, (one, other)
    return in_turn, together


def products(width: int, batch: int) -> Callable[[], object]:
    """The matrix products of the same training and nothing else: no formula, no activation, no drawing of rows."""
    x, hidden, slopes = (
        torch.randn(batch, 784),
        torch.randn(CANDIDATES, batch, width),
        torch.randn(CANDIDATES, batch, 10),
    )
    first, last = torch.randn(CANDIDATES * width, 784), torch.randn(CANDIDATES, width, 10)

    def run() -> None:
        for _ in range(STEPS):
            scores = x @ first.T  # all first layers read the same rows: one product
            torch.bmm(hidden, last)
            torch.bmm(slopes, last.transpose(1, 2))
            torch.bmm(hidden.transpose(1, 2), slopes)
            first.add_(scores.T @ x, alpha=-1e-9)

    return run


def spared() -> tuple[float, float, float]:
    """Share of training steps that the filters spare, and the best error with and without them."""
    task = task_of(16, rows=800, noise=3.0)
    settings = replace(PRESETS["small"], generations=6, local_steps=0, train_steps=60, known_losses=False)
    bare = replace(settings, archive=False, same_slopes=False, rejection_steps=0)
    errors, steps = [], []
    for how in (settings, bare):
        state = None
        for state in generations(task, how, seed=0, plain=cross_entropy):
            pass
        assert state is not None
        trained = state.fates["trained"] + (state.fates["constant"] if how is bare else 0)
        errors.append(state.hall[0].error)
        steps.append(trained)
    return 1 - steps[0] / steps[1], errors[0], errors[1]


def small() -> tuple[float, float]:
    """Minutes and peak GiB of `metricopt.evolve` at the preset "small" on a table of 3,000 rows."""
    import metricopt

    source = generator("benchmark table")
    x = torch.randn(3000, 20, generator=source)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * torch.randn(3000, generator=source) > 1).float()
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
    began = time.perf_counter()
    metricopt.evolve(net, metric="f1", train=(x[:1500], y[:1500]), val=(x[1500:], y[1500:]), quiet=True)
    return (time.perf_counter() - began) / 60, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure() -> list[Figure]:
    torch.set_num_threads(2)
    figures = []
    # The ratio is the machine's as much as ours: 3.5 and 2.3 on an AMD EPYC, 2.4 and 1.4 on a newer one whose cores are
    # faster one by one, 2.9 and 1.9 on an Intel Xeon, with 2 cores each.
    for width, batch, bound in ((16, 32, 2.0), (64, 128, 1.2)):
        in_turn, together = sides(width, batch)
        ratio = alternate(in_turn, together, 3)
        most = alternate(in_turn, products(width, batch), 3)
        name = f"25 losses one by one / side by side, MLP 784-{width}-10, batch {batch} (products alone: {most:.0f} x)"
        figures.append(Figure(name, ratio, "x", bound, "at least"))
    share, ours, bare = spared()
    figures.append(
        Figure(
            f"training spared by the filters (best error {ours:.3f}, without {bare:.3f})", share, "", 0.6, "at least"
        )
    )
    assert math.isfinite(ours)
    minutes, memory = small()
    figures.append(Figure("metricopt.evolve, preset small, a table", minutes, "min", 10.0))
    figures.append(Figure("its peak memory", memory, "GiB", 3.0))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
