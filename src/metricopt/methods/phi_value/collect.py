"""Meta-training tasks: finetune many starts on the loss in lock-step and observe each a few times."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..._random import derive_seed
from ..._random import generator as named_generator
from ...problem import Problem
from ...search import LossOnly, finetune
from ...value import Trajectories
from ..method import observe_within_budget
from .config import PhiValueConfig


def observation_times(runs: int, count: int, steps: int, *, generator: torch.Generator) -> Tensor:
    """When each run is observed: `(runs, count)` sorted distinct steps in 0..steps.

    Both ends, and one random step in each of `count - 2` equal parts between them: random as in the paper,
    but no part of a trajectory stays dark.
    """
    count = min(count, steps + 1)
    if count == 1:
        return torch.zeros(runs, 1, dtype=torch.long)
    edges = torch.linspace(1, steps, count - 1)
    inner = (edges[:-1] + torch.rand(runs, count - 2, generator=generator) * (edges[1:] - edges[:-1])).floor().long()
    # Neighbouring parts share a whole step at their border: whoever comes second takes the next one.
    place = torch.arange(count - 2)
    inner = torch.minimum((inner - place).cummax(dim=1).values + place, steps - (count - 2) + place)
    first, last = torch.zeros(runs, 1, dtype=torch.long), torch.full((runs, 1), steps)
    return torch.cat([first, inner, last], dim=1)


def collect(problem: Problem, config: PhiValueConfig, *, calls: int, phi_scale: Tensor, seed: int) -> Trajectories:
    """Loss trajectories of random starts, observed sparsely (Algorithm 1, line 3), within `calls` metric calls.

    Differs from the paper: one run starts at phi = 0, and K counts both ends of a run.
    """
    generator = named_generator(seed, "collect")
    runs = min(config.tasks, max(calls // config.observations, 1))
    starts = torch.randn(runs, problem.dim, generator=generator) * config.spread * phi_scale
    if config.from_zero:
        starts[0] = 0.0
    times = observation_times(runs, min(config.observations, calls), config.steps, generator=generator)
    events = finetune(
        problem,
        LossOnly(),
        lambda params: torch.optim.SGD(params, lr=config.lr, momentum=config.momentum),
        start=starts,
        steps=config.steps,
        seeds=[derive_seed(seed, "task", run) for run in range(runs)],
        phi_scale=phi_scale,
    )
    return observe_runs(problem, (event.phis for event in events), times)


def observe_runs(problem: Problem, path: Iterable[Tensor], times: Tensor) -> Trajectories:
    """Record runs step by step `(n, d)`, observing run i at the steps `times[i]` while the budget lasts."""
    trajectories: Trajectories | None = None
    for step, phis in enumerate(path):
        if trajectories is None:
            trajectories = Trajectories(runs=len(phis), fingerprint=problem.spec.fingerprint, dim=problem.dim)
        due = (times == step).any(dim=1).nonzero().squeeze(1)
        utilities = torch.full((len(phis),), torch.nan, dtype=torch.float64)
        seen = observe_within_budget(problem, phis[due]) if len(due) else torch.zeros(0, dtype=torch.float64)
        utilities[due[: len(seen)]] = seen
        trajectories.append(step, phis, utilities)
    assert trajectories is not None
    return trajectories
