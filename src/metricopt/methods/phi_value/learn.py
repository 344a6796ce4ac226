"""Learn the value function from trajectories, by the scheme that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..._random import generator as named_generator
from ...value import (
    PAPER_REPTILE,
    FitConfig,
    Quality,
    ReptileConfig,
    Trajectories,
    ValueFunction,
    fit,
    interpolate,
    reptile,
)
from .config import PhiValueConfig


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A value function and how good it was on runs held out of its training; None where nothing was held out."""

    value: ValueFunction
    quality: Quality | None


def new_value(config: PhiValueConfig, *, dim: int, fingerprint: str, seed: int) -> ValueFunction:
    """A fresh value function of the configured shape, in eval mode."""
    return ValueFunction(
        dim,
        norm=config.norm,
        members=config.members,
        fingerprint=fingerprint,
        generator=named_generator(seed, "value weights"),
    ).eval()


def learn(trajectories: Trajectories, config: PhiValueConfig, *, seed: int) -> Learned:
    """Interpolate and fit (paper section 3.1)."""
    value = new_value(config, dim=trajectories.dim, fingerprint=trajectories.fingerprint, seed=seed)
    if config.learn == "none":
        value.set_scale(trajectories.phis, trajectories.utilities)
        return Learned(value=value, quality=None)
    trajectories = observed_runs(trajectories)
    if config.permute:
        trajectories = permuted(trajectories, generator=named_generator(seed, "permute"))
    dense = interpolate(trajectories, kind=config.interpolation)
    generator = named_generator(seed, "learn")
    if config.learn == "offline":
        settings = FitConfig(
            ordinal=config.ordinal, uncertainty=config.uncertainty, steps=config.fit_steps, batch=config.fit_batch
        )
        return Learned(
            value=value, quality=fit(value, trajectories, dense, config=settings, generator=generator).quality
        )
    base = PAPER_REPTILE if config.learn == "paper-reptile" else ReptileConfig()
    report = reptile(
        value,
        trajectories,
        dense,
        config=replace(base, ordinal=config.ordinal, uncertainty=config.uncertainty),
        generator=generator,
    )
    return Learned(value=value, quality=report.quality)


def observed_runs(trajectories: Trajectories) -> Trajectories:
    """Without the runs that were never observed: the budget ended before them."""
    seen = trajectories.observed.any(dim=1)
    return trajectories if bool(seen.all()) else trajectories.select(seen.nonzero().squeeze(1).tolist())


def permuted(trajectories: Trajectories, *, generator: torch.Generator) -> Trajectories:
    """The same runs with their observed utilities shuffled over all runs and times."""
    utilities, seen = trajectories.utilities.clone(), trajectories.observed
    values = utilities[seen]
    utilities[seen] = values[torch.randperm(len(values), generator=generator)]
    shuffled = Trajectories(runs=trajectories.runs, fingerprint=trajectories.fingerprint, dim=trajectories.dim)
    for i, step in enumerate(trajectories.steps):
        shuffled.append(int(step), trajectories.phis[:, i], utilities[:, i])
    return shuffled
