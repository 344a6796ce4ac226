"""The finetuning loop of n runs in lock-step, as a generator of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._errors import ConfigError
from .._random import generator as named_generator
from ..problem import Problem
from .source import GradientSource, SearchState

#: Makes an optimiser for the population parameter `(n, d)`.
OptimizerFactory = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True, kw_only=True)
class Event:
    """The runs before one step, and after the last one.

    Args:
        step: 0 is the start; `phis` have taken `step` steps.
        phis: `(n, d)`, detached.
        losses: `(n,)` mini-batch losses at `phis`; None after the last step, and where no loss is read.
        state: what the source remembers.
    """

    step: int
    phis: Tensor
    losses: Tensor | None
    state: SearchState


def finetune(
    problem: Problem,
    source: GradientSource,
    optimizer: OptimizerFactory,
    *,
    start: Tensor,
    steps: int,
    seeds: Sequence[int],
    phi_scale: Tensor | None = None,
) -> Iterator[Event]:
    """Advance n runs together; yields before every step and after the last, `steps + 1` events in all.

    A run that diverges stays at its last finite phi, so that it does not take the others with it.
    Stop early by `break`. Consumers may spend the budget, record trajectories or draw bars between the steps.
    A run's mini-batches depend on its seed alone, so n runs in lock-step see what they would see one by one.

    Args:
        problem: supplies the loss gradients.
        source: supplies the direction.
        optimizer: makes the optimiser that steps; any of `torch.optim` that works element by element.
        start: `(n, d)`.
        steps: T.
        seeds: one for each run.
        phi_scale: `(d,)`: step and search in z = phi / phi_scale, so that step sizes and perturbations mean the same
            for every adapter. The source then sees z: give it `Scaled(value, phi_scale)`. None: z = phi.
    """
    problem.spec.check(start)
    if start.dim() != 2 or len(seeds) != len(start):
        raise ConfigError(f"start must be (n, d) with one seed a run, got {tuple(start.shape)} and {len(seeds)} seeds")
    unit = torch.ones(problem.dim) if phi_scale is None else phi_scale
    z = nn.Parameter(start / unit)
    stepper = optimizer([z])
    indices = torch.stack([problem.draws(seed, steps) for seed in seeds], dim=1)
    generator = named_generator("finetune", *seeds)
    state = source.init(len(start), problem.dim)
    losses: Tensor | None = None
    for step in range(steps):
        here = z.detach().clone()
        grads = torch.zeros_like(here)
        if source.reads_loss:
            losses, grads = problem.loss_and_grad(here * unit, indices[step])
            grads = torch.where(grads.isfinite().all(dim=1, keepdim=True), grads, 0.0)
        yield Event(step=step, phis=here * unit, losses=losses, state=state)
        direction, state = source.direction(state, here, grads * unit, generator=generator)
        z.grad = torch.where(direction.isfinite().all(dim=1, keepdim=True), direction, 0.0)
        stepper.step()
        _stay_finite(z, here)
    yield Event(step=steps, phis=z.detach() * unit, losses=None, state=state)


@torch.no_grad()
def _stay_finite(z: Tensor, before: Tensor) -> None:
    lost = ~z.isfinite().all(dim=1)
    if bool(lost.any()):
        z[lost] = before[lost]
