"""What a value function that reads scores costs: a step along it beside a loss step, a search beside CMA-ES.

The step: forward and backward to phi through a conv net, batch 256, plain cross-entropy or the learned loss. The
search: 100 calls of a metric that takes 10 ms, on a small network, beside CMA-ES with as many.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from figure import Figure, alternate, main
from metricopt.adapters import Film, InputBias, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.methods import METHODS
from metricopt.metrics import Budget, from_function
from metricopt.problem import Problem
from metricopt.profiles import MulticlassProfile
from metricopt.value import LearnedLoss, LearnedValue, ScoreValue
from metricopt.workload import TensorWorkload

CLASSES, OBSERVATIONS, ROWS = 10, 100, 256


def learned_loss() -> LearnedLoss:
    """A value function of 100 observations, for ten classes."""
    source = torch.Generator().manual_seed(0)
    profile = MulticlassProfile(classes=CLASSES)
    psi = torch.rand(OBSERVATIONS, len(profile.columns), generator=source, dtype=torch.float64)
    value = ScoreValue(profile.family_index(), reads_phi=False).fit(psi, torch.zeros(len(psi), 1), psi[:, 0])
    learned = LearnedValue(
        profile=profile.identity,
        columns=[column.name for column in profile.columns],
        families=profile.family_index(),
        psi=psi,
        utilities=psi[:, 0],
        hyperparameters=value.hyperparameters,
        metric="made",
        higher_is_better=True,
        kind="multiclass",
        width=CLASSES,
    )
    return LearnedLoss(learned)


def steps() -> tuple[Callable[[], None], Callable[[], None]]:
    """One step along the learned loss, and along cross-entropy."""
    source = torch.Generator().manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, CLASSES),
    ).eval()
    x, y = torch.randn(ROWS, 3, 32, 32, generator=source), torch.randint(CLASSES, (ROWS,), generator=source)
    adapted = attach(net, Film(), probe=x[:2])

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        optimizer = torch.optim.SGD([adapted.phi], lr=1e-4)

        def run() -> None:
            optimizer.zero_grad()
            loss(adapted(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return run

    return step(learned_loss()), step(cross_entropy)


def searches() -> tuple[Callable[[], object], Callable[[], object]]:
    """MetricOpt and CMA-ES, 100 calls of 10 ms each."""
    source = torch.Generator().manual_seed(2)
    x = torch.randn(3000, 12, generator=source)
    y = (x[:, 0] + 0.7 * torch.randn(3000, generator=source) > 1.0).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1)).eval()
    adapted = attach(net, [InputBias(dim=14), OutputShift()], probe=x[:2])

    def slow(outputs: Tensor, targets: Tensor) -> float:
        time.sleep(0.01)
        right, truth = outputs.reshape(-1) > 0, targets.reshape(-1) > 0
        return float(2 * (right & truth).sum() / (right.sum() + truth.sum()).clamp_min(1))

    workload = TensorWorkload(adapted, loss=cross_entropy, train=(x[:2000], y[:2000]), val=(x[2000:], y[2000:]))
    problem = Problem(
        workload, metric=from_function(slow, name="slow", higher_is_better=True, reads="scores"), budget=Budget()
    )
    workload.prepare()
    return (
        lambda: METHODS["metricopt"].method.run(problem, budget=Budget(calls=100), seed=0),
        lambda: METHODS["cma_es"].method.run(problem, budget=Budget(calls=100), seed=0),
    )


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    learned, plain = steps()
    mine, theirs = searches()
    return [
        Figure("step along the learned loss / cross-entropy step, conv net", alternate(learned, plain, 15), "x", 1.3),
        Figure("MetricOpt / CMA-ES, 100 calls of 10 ms", alternate(mine, theirs, 5), "x", 3.0),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
