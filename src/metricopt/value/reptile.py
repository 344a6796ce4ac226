"""Meta-training of the value function over tasks, one after another (paper Algorithm 1, lines 1 to 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from .._checks import at_least, fraction, one_of, positive
from .._errors import ConfigError
from .fit import check_match, measure, split_runs, training_loss
from .gaussian_process import Interpolation
from .mining import Hardness
from .network import ValueFunction
from .quality import Quality
from .trajectory import Trajectories

Inner = Literal["sgd", "adam"]
Statistics = Literal["all", "task"]

#: Points that the statistics of batch norm are taken from, anew for every task.
_CALIBRATION_POINTS = 1024


@dataclass(frozen=True, kw_only=True)
class ReptileConfig:
    """How to meta-train.

    Args:
        inner_steps: gradient steps on one task before the meta-update. 1 is the paper's Algorithm 1; with one step
            Reptile is plain online training with a decaying step size.
        inner_lr: alpha of Algorithm 1.
        meta_lr: eta of Algorithm 1; it decays linearly to zero.
        inner: "sgd" is the paper's line 5; "adam" keeps its moments from task to task and learns much faster.
        statistics: where batch norm takes its statistics in training. "task" is the paper's reading: each task is
            normalised by itself, which hides from the network how tasks differ and does not match its use in search.
            "all" takes them from points of all tasks.
        passes: how often each run is visited.
        max_points: most steps of one task in one gradient step, evenly thinned; bounds the cost of mining.
        return_inner: return the weights after the last inner update, as line 8 prints it, not those of line 6.
        gamma, ordinal, uncertainty, hardness, standard_units, std_floor, holdout, rescale: as in `FitConfig`.
    """

    inner_steps: int = 5
    inner_lr: float = 0.005
    meta_lr: float = 1.0
    inner: Inner = "adam"
    statistics: Statistics = "all"
    passes: int = 1
    max_points: int = 256
    return_inner: bool = False
    gamma: float = 10.0
    ordinal: bool = True
    uncertainty: bool = True
    hardness: Hardness = "hardest"
    standard_units: bool = True
    std_floor: float = 1e-3
    holdout: float = 0.2
    rescale: bool = True

    def __post_init__(self) -> None:
        for name in ("inner_lr", "meta_lr", "gamma", "std_floor"):
            positive(name, getattr(self, name))
        for name, least in (("inner_steps", 1), ("passes", 1), ("max_points", 2)):
            at_least(name, getattr(self, name), least)
        if fraction("holdout", self.holdout) >= 1:
            raise ConfigError(f"holdout must be below 1, got {self.holdout!r}; something must be left to train on")
        one_of("inner", self.inner, get_args(Inner))
        one_of("statistics", self.statistics, get_args(Statistics))
        one_of("hardness", self.hardness, get_args(Hardness))


#: Algorithm 1 as printed: one step of gradient descent per task, errors in utility, each task normalised by itself.
PAPER_REPTILE = ReptileConfig(inner_steps=1, inner="sgd", statistics="task", standard_units=False, return_inner=True)


@dataclass(frozen=True, kw_only=True)
class ReptileReport:
    """What meta-training did. `quality` is on held-out observed points, None where no run was held out.

    `losses` has one entry per task: Eq. 2 at its first inner step, before the network has seen the task.
    """

    quality: Quality | None
    train_quality: Quality
    tasks: int
    triplets: int
    losses: tuple[float, ...]


def reptile(
    value: ValueFunction,
    trajectories: Trajectories,
    interpolation: Interpolation,
    *,
    config: ReptileConfig = ReptileConfig(),
    generator: torch.Generator,
) -> ReptileReport:
    """Move the weights towards those that each task wants. Leaves `value` in eval mode.

    Per task: `inner_steps` of `w~ <- w~ - alpha grad L_v(w~)` from w, then `w <- w + eta (w~ - w)`.

    Args:
        value: trained in place, from the weights it has.
        trajectories: n runs, the tasks.
        interpolation: their utilities, `(n, T)`.
        config: see `ReptileConfig`.
        generator: draws the held-out runs and the order of tasks.

    Differs from the paper: by default five inner steps of Adam, errors in standard units, and statistics of batch
    norm over all tasks. `PAPER_REPTILE` undoes these; phi and utility are standardised in both.
    """
    check_match(value, trajectories, interpolation)
    held, kept = split_runs(trajectories.runs, config.holdout, generator)
    if config.rescale:
        value.set_scale(trajectories.phis[kept], interpolation.mean[kept])
    like = value.head_weight
    phis, mean, std = trajectories.phis.to(like), interpolation.mean.to(like), interpolation.std.to(like)
    thin = _thinned(phis.shape[1], config.max_points)
    everywhere = phis[kept].flatten(0, 1)
    sample = everywhere[_thinned(len(everywhere), _CALIBRATION_POINTS)]
    order = torch.cat([kept[torch.randperm(len(kept), generator=generator)] for _ in range(config.passes)])

    learner = _Learner(value, config)
    losses: list[float] = []
    triplets = 0
    for index, run in enumerate(order.tolist()):
        if config.statistics == "all":
            value.calibrate(sample)
        loss, count = learner.inner(phis[run, thin], mean[run, thin], std[run, thin], generator)
        learner.outer(config.meta_lr * (1 - index / len(order)))
        losses.append(loss)
        triplets += count
    if config.return_inner:
        learner.restore_inner()
    value.calibrate(everywhere)
    value.eval()
    return ReptileReport(
        quality=measure(value, *trajectories.select(held.tolist()).observations) if len(held) else None,
        train_quality=measure(value, *trajectories.select(kept.tolist()).observations),
        tasks=len(order),
        triplets=triplets,
        losses=tuple(losses),
    )


class _Learner:
    """The slow weights w, the fast weights w~ (those of the module), and the two updates."""

    def __init__(self, value: ValueFunction, config: ReptileConfig) -> None:
        self.value, self.config = value, config
        self.fast = list(value.parameters())
        self.slow = [p.detach().clone() for p in self.fast]
        self.last = self.slow
        self.optimizer = torch.optim.Adam(self.fast, lr=config.inner_lr) if config.inner == "adam" else None

    def inner(self, phis: Tensor, mean: Tensor, std: Tensor, generator: torch.Generator) -> tuple[float, int]:
        """Lines 4 and 5: first loss and number of triplets."""
        self.value.train(self.config.statistics == "task")
        first, triplets = 0.0, 0
        for step in range(self.config.inner_steps):
            loss = training_loss(self.value, phis, mean, std, self.config, generator)
            gradients = torch.autograd.grad(loss.total.sum(), self.fast)
            self._descend(gradients)
            triplets += loss.triplets
            if step == 0:
                first = float(loss.total.detach().mean())
        return first, triplets

    @torch.no_grad()
    def _descend(self, gradients: tuple[Tensor, ...]) -> None:
        if self.optimizer is None:
            for p, g in zip(self.fast, gradients, strict=True):
                p.sub_(g, alpha=self.config.inner_lr)
            return
        for p, g in zip(self.fast, gradients, strict=True):
            p.grad = g
        self.optimizer.step()

    @torch.no_grad()
    def outer(self, rate: float) -> None:
        """Line 6: w moves towards w~, and w~ starts again from w."""
        self.last = [p.detach().clone() for p in self.fast]
        for slow, fast in zip(self.slow, self.fast, strict=True):
            slow.lerp_(fast, rate)
            fast.copy_(slow)

    @torch.no_grad()
    def restore_inner(self) -> None:
        """Line 8 as printed: the fast weights of the last task."""
        for fast, last in zip(self.fast, self.last, strict=True):
            fast.copy_(last)


def _thinned(count: int, most: int) -> Tensor:
    """At most `most` evenly spaced indices below `count`."""
    if count <= most:
        return torch.arange(count)
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long()
