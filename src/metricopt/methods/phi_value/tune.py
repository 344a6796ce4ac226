"""Meta-testing: guided runs on the value function (paper section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._random import derive_seed
from ...problem import Problem
from ...search import (
    Blend,
    GradientSource,
    GuidedES,
    OptimizerFactory,
    ProjectedGradient,
    Scaled,
    Value,
    ValueGradient,
    finetune,
)
from ...value import ValueFunction
from .config import PhiValueConfig


def make_source(value: Value, config: PhiValueConfig) -> GradientSource:
    """The configured source over z, the loss blended in where asked."""
    source: GradientSource
    if config.direction == "grad":
        source = ValueGradient(value=value)
    elif config.direction == "projected-grad":
        source = ProjectedGradient(value=value, k=config.past)
    else:
        source = GuidedES(
            value=value, k=config.past, pairs=config.pairs, variance=config.variance, uses_loss=config.loss_guides
        )
    if config.blend > 0 and config.loss_guides:
        return Blend(metric=source, weight=1 / config.blend)
    return source


def make_stepper(config: PhiValueConfig) -> OptimizerFactory:
    if config.stepper == "adam":
        return lambda params: torch.optim.Adam(params, lr=config.search_lr)
    return lambda params: torch.optim.SGD(params, lr=config.search_lr)


def guided_runs(
    problem: Problem, value: ValueFunction, config: PhiValueConfig, *, start: Tensor, phi_scale: Tensor, seed: int
) -> list[Tensor]:
    """Guided runs from `start` `(n, d)` in lock-step: the phis `(n, d)` before each step and after the last."""
    # In units of the utility's own spread a step size means the same for every metric.
    seen = Scaled(value=value.frozen(), phi_scale=phi_scale, scale=float(value.utility_scale))
    events = finetune(
        problem,
        make_source(seen, config),
        make_stepper(config),
        start=start,
        steps=config.steps,
        seeds=[derive_seed(seed, "guided", run) for run in range(len(start))],
        phi_scale=phi_scale,
    )
    return [event.phis for event in events]
