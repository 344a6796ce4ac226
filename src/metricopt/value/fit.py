"""Offline training of the value function on everything that was collected (the alternative of paper Fig. 3b)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from .._checks import at_least, fraction, one_of, positive
from .._errors import ConfigError, FingerprintMismatch
from .gaussian_process import Interpolation
from .mining import Hardness
from .network import ValueFunction
from .objective import LossSettings, Objective, value_loss
from .quality import Quality, quality
from .trajectory import Trajectories


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How to train offline.

    Args:
        gamma: weight of the regression in Eq. 2.
        lr: Adam's first step size; it decays linearly to zero.
        steps: gradient steps.
        batch: points per step, drawn over all runs; triplets are mined inside the batch.
        weight_decay: AdamW's.
        ordinal, uncertainty: switches of Eq. 2, see `value_loss`.
        hardness: how triplets are mined, see `mine`.
        standard_units: measure regression errors in standard deviations of the utilities, so that gamma means the
            same for every metric. False is the paper's.
        std_floor: least std of an interpolated utility.
        holdout: share of the runs (or points) kept out of training, to measure quality and to stop early.
        check_every: steps between looks at the held-out loss.
        patience: looks without a new best before training stops; None never stops. The best weights are kept.
        rescale: take the scales of phi and utility from this data; False keeps those that the value function has.
    """

    gamma: float = 10.0
    lr: float = 0.005
    steps: int = 500
    batch: int = 256
    weight_decay: float = 1e-3
    ordinal: bool = True
    uncertainty: bool = True
    hardness: Hardness = "hardest"
    standard_units: bool = True
    std_floor: float = 1e-3
    holdout: float = 0.2
    check_every: int = 20
    patience: int | None = 10
    rescale: bool = True

    def __post_init__(self) -> None:
        for name in ("gamma", "lr", "std_floor"):
            positive(name, getattr(self, name))
        for name, least in (("steps", 1), ("batch", 2), ("check_every", 1)):
            at_least(name, getattr(self, name), least)
        if self.patience is not None:
            at_least("patience", self.patience, 1)
        if fraction("holdout", self.holdout) >= 1:
            raise ConfigError(f"holdout must be below 1, got {self.holdout!r}; something must be left to train on")
        if not math.isfinite(self.weight_decay) or self.weight_decay < 0:
            raise ConfigError(f"weight_decay must be at least 0, got {self.weight_decay!r}")
        one_of("hardness", self.hardness, get_args(Hardness))


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """What training did.

    `quality` is on held-out observed points, None where nothing was held out; early stopping looks at the same
    points, so it is slightly optimistic. `train_quality` is on the observed points that were trained on.
    """

    quality: Quality | None
    train_quality: Quality
    steps: int
    best_step: int
    triplets: int
    losses: tuple[float, ...]
    held_out_losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Points:
    phis: Tensor  # (m, d)
    mean: Tensor  # (m,)
    std: Tensor  # (m,)


@dataclass(frozen=True, kw_only=True)
class _Sets:
    """Points to train on and to look at, and the observed ones among them."""

    train: _Points
    held: _Points | None
    train_observed: tuple[Tensor, Tensor]
    held_observed: tuple[Tensor, Tensor] | None


def fit(
    value: ValueFunction,
    trajectories: Trajectories,
    interpolation: Interpolation,
    *,
    config: FitConfig = FitConfig(),
    generator: torch.Generator,
) -> FitReport:
    """Train on every step of every run; whole runs are held out. Leaves `value` in eval mode.

    Args:
        value: trained in place, from the weights it has.
        trajectories: n runs of T steps.
        interpolation: their utilities, `(n, T)`.
        config: see `FitConfig`.
        generator: draws the held-out runs and the batches.

    Raises:
        ConfigError: shapes do not fit.
        FingerprintMismatch: the runs moved another phi than the value function is for.
    """
    check_match(value, trajectories, interpolation)
    held, kept = split_runs(trajectories.runs, config.holdout, generator)
    phis, observed, utilities = trajectories.phis, trajectories.observed, trajectories.utilities

    def points(runs: Tensor) -> _Points:
        return _Points(
            phis=phis[runs].flatten(0, 1),
            mean=interpolation.mean[runs].flatten(),
            std=interpolation.std[runs].flatten(),
        )

    def seen(runs: Tensor) -> tuple[Tensor, Tensor]:
        return phis[runs][observed[runs]], utilities[runs][observed[runs]]

    sets = _Sets(
        train=points(kept),
        held=points(held) if len(held) else None,
        train_observed=seen(kept),
        held_observed=seen(held) if len(held) else None,
    )
    return _train(value, sets, config, generator)


def split_runs(count: int, holdout: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sorted numbers of held-out and kept runs; at least one is held out if any can be spared, one is always kept."""
    number = min(max(round(count * holdout), 1), count - 1) if holdout > 0 else 0
    order = torch.randperm(count, generator=generator)
    return order[:number].sort().values, order[number:].sort().values


def check_match(value: ValueFunction, trajectories: Trajectories, interpolation: Interpolation) -> None:
    """ConfigError or FingerprintMismatch unless all three belong together."""
    shape = (trajectories.runs, len(trajectories))
    if tuple(interpolation.mean.shape) != shape or tuple(interpolation.std.shape) != shape:
        raise ConfigError(
            f"the interpolation must have shape {shape} like the trajectories, got {tuple(interpolation.mean.shape)}; "
            "interpolate these trajectories"
        )
    if trajectories.dim != value.dim:
        raise ConfigError(
            f"the value function takes phi of length {value.dim}, the trajectories have {trajectories.dim}"
        )
    if value.fingerprint and trajectories.fingerprint != value.fingerprint:
        raise FingerprintMismatch(
            f"the value function is for phi {value.fingerprint}, the trajectories are of phi "
            f"{trajectories.fingerprint}; "
            "collect trajectories on the model that it is for"
        )


def _taken(points: _Points, index: Tensor) -> _Points:
    return _Points(phis=points.phis[index], mean=points.mean[index], std=points.std[index])


def _cast(points: _Points, like: Tensor) -> _Points:
    return _Points(phis=points.phis.to(like), mean=points.mean.to(like), std=points.std.to(like))


def _train(value: ValueFunction, sets: _Sets, config: FitConfig, generator: torch.Generator) -> FitReport:
    if config.rescale:
        value.set_scale(sets.train.phis, sets.train.mean)
    train = _cast(sets.train, value.head_weight)
    held = None if sets.held is None else _cast(sets.held, value.head_weight)
    optimizer = torch.optim.AdamW(value.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    stopper = _Stopper(config.patience)
    losses: list[float] = []
    triplets = step = 0
    value.train()
    for step in range(1, config.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - (step - 1) / config.steps)
        batch = _taken(train, _drawn(len(train.mean), config.batch, generator))
        loss = training_loss(value, batch.phis, batch.mean, batch.std, config, generator)
        optimizer.zero_grad()
        # A sum over members: each learns as if it were alone.
        loss.total.sum().backward()
        optimizer.step()
        triplets += loss.triplets
        if step % config.check_every and step != config.steps:
            continue
        losses.append(float(loss.total.detach().mean()))
        if held is not None and stopper.enough(step, _held_loss(value, held, config), value):
            break
    stopper.restore(value)
    value.calibrate(train.phis)
    value.eval()
    return FitReport(
        quality=None if sets.held_observed is None else measure(value, *sets.held_observed),
        train_quality=measure(value, *sets.train_observed),
        steps=step,
        best_step=stopper.best_step or step,
        triplets=triplets,
        losses=tuple(losses),
        held_out_losses=tuple(stopper.losses),
    )


class _Stopper:
    """The best weights so far, and how long ago that was; without patience it only takes notes."""

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.losses: list[float] = []
        self.best_step = 0
        self._best = math.inf
        self._stale = 0
        self._state: dict[str, Tensor] | None = None

    def enough(self, step: int, loss: float, value: ValueFunction) -> bool:
        """Note this look; True once `patience` looks went by without a new best."""
        self.losses.append(loss)
        if self.patience is None:
            return False
        if loss < self._best:
            self._best, self._stale, self.best_step = loss, 0, step
            self._state = copy.deepcopy(value.state_dict())
        else:
            self._stale += 1
        return self._stale >= self.patience

    def restore(self, value: ValueFunction) -> None:
        if self._state is not None:
            value.load_state_dict(self._state)


def training_loss(
    value: ValueFunction, phis: Tensor, mean: Tensor, std: Tensor, config: LossSettings, generator: torch.Generator
) -> Objective:
    """Eq. 2 for every member on one batch `(B, d)`."""
    estimates, embeddings = value.members_forward(phis)
    return value_loss(
        estimates,
        embeddings,
        mean,
        std,
        gamma=config.gamma,
        ordinal=config.ordinal,
        uncertainty=config.uncertainty,
        std_floor=config.std_floor,
        unit=value.utility_scale if config.standard_units else 1.0,
        hardness=config.hardness,
        generator=generator,
    )


@torch.no_grad()
def measure(value: ValueFunction, phis: Tensor, utilities: Tensor) -> Quality:
    """Quality of the estimates at observed points `(m, d)`, `(m,)`."""
    return quality(value(phis.to(value.head_weight))[0], utilities)


@torch.no_grad()
def _held_loss(value: ValueFunction, held: _Points, config: FitConfig) -> float:
    value.eval()
    loss = value_loss(
        value(held.phis)[0],
        held.phis,  # not looked at: the regression alone decides when to stop
        held.mean,
        held.std,
        ordinal=False,
        uncertainty=config.uncertainty,
        std_floor=config.std_floor,
    )
    value.train()
    return float(loss.regression)


def _drawn(count: int, batch: int, generator: torch.Generator) -> Tensor:
    if count <= batch:
        return torch.arange(count)
    return torch.randint(count, (batch,), generator=generator)
