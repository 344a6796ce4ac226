"""Other ways to a learned loss: ML3's network, TaylorGLO's polynomial. GP-LFL and random search are settings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from .._adam import Adam
from .._extras import require
from .._random import derive_seed, generator
from .candidate import Candidate, tried
from .formula import Formula
from .learners import BaseTask
from .local_search import weight_slopes
from .loss_population import LossPopulation, Outputs, encoded, predictions
from .settings import EvolutionSettings
from .text import parse

_WIDTH = 50


def gp_lfl(settings: EvolutionSettings) -> EvolutionSettings:
    """The same search without local search: constants stay 1 and -1."""
    return replace(settings, local_steps=0)


def random_formulas(settings: EvolutionSettings) -> EvolutionSettings:
    """The same number of candidates, each drawn anew."""
    return replace(settings, strategy="random")


# --- ML3 -----------------------------------------------------------------------------------------------------------


@final
class NeuralLosses(LossPopulation):
    """A network 2-50-50-1 without biases as a loss (ML3; Bechtle et al., ICPR 2020): ReLU inside, softplus at its end.

    Args:
        outputs: what the scores stand for.
        weights: `(2650,)`, all matrices in a row.
    """

    def __init__(self, outputs: Outputs, weights: Tensor) -> None:
        self.outputs, self.weights = outputs, weights

    @staticmethod
    def initial(seed: int) -> Tensor:
        """Kaiming's normal values for ReLU."""
        source = generator("neural loss", seed)
        shapes = ((_WIDTH, 2), (_WIDTH, _WIDTH), (1, _WIDTH))
        drawn = [math.sqrt(2 / columns) * torch.randn(rows, columns, generator=source) for rows, columns in shapes]
        return torch.cat([matrix.flatten() for matrix in drawn])

    def __len__(self) -> int:
        return 1

    def with_weights(self, weights: Tensor) -> NeuralLosses:
        return NeuralLosses(self.outputs, weights)

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        first, second, last = self.weights.split([2 * _WIDTH, _WIDTH * _WIDTH, _WIDTH])
        f = predictions(scores, self.outputs)
        y = encoded(targets, self.outputs, scores.shape[-1]).expand_as(f)
        inside = F.relu(F.linear(torch.stack([y, f], -1), first.view(_WIDTH, 2)))
        inside = F.relu(F.linear(inside, second.view(_WIDTH, _WIDTH)))
        return F.softplus(F.linear(inside, last.view(1, _WIDTH)))[..., 0].sum(-1).mean(-1)


def neural_loss(task: BaseTask, *, steps: int, seed: int, unroll: int = 1, rate: float = 1e-3) -> NeuralLosses:
    """A neural loss whose weights are tuned by what a training with it leads to, as those of a formula are."""
    weights = NeuralLosses.initial(seed).to(task.x.device).requires_grad_()
    losses, optimizer = NeuralLosses(task.outputs, weights), Adam(rate)
    for step in range(steps):
        slope = weight_slopes(task, losses, weights, seed=seed, step=step, unroll=unroll)
        optimizer.step(weights.detach(), torch.where(slope.isfinite(), slope, 0.0))
    return NeuralLosses(task.outputs, weights.detach())


# --- TaylorGLO -----------------------------------------------------------------------------------------------------


def taylor(numbers: Sequence[float]) -> Formula:
    """TaylorGLO's loss: a third-order Taylor polynomial around (t0, t1), terms without f(x) left out.

    Args:
        numbers: t0 to t7.

    >>> str(taylor([0, 0, 1, 0, 0, 0, 0, 0]))
    '-1 * f(x)'
    """
    t = [float(one) for one in numbers]
    u, v = _minus("f(x)", t[1]), _minus("y", t[0])
    terms = (
        (t[2], u),
        (t[3] / 2, f"square({u})"),
        (t[4] / 6, f"square({u}) * {u}"),
        (t[5], f"{v} * {u}"),
        (t[6] / 2, f"{v} * square({u})"),
        (t[7] / 2, f"square({v}) * {u}"),
    )
    return parse(" + ".join(f"{-factor!r} * {term}" for factor, term in terms if factor) or "0 * (y * f(x))")


def taylor_glo(task: BaseTask, settings: EvolutionSettings, *, seed: int) -> Candidate:
    """The best Taylor polynomial that CMA-ES finds with as many generations of as many candidates (Gonzalez and
    Miikkulainen, CEC 2021).

    Raises: MissingExtra without the package cma.
    """
    with warnings.catch_warnings():  # as it is imported it speaks of plots
        warnings.filterwarnings("ignore", message="Could not import matplotlib", category=UserWarning)
        cma = require("cma", extra="cma", purpose="TaylorGLO")
    options = {
        "popsize": settings.population,
        "seed": derive_seed("taylor", seed) % 2**31 or 1,
        "verbose": -9,
        "maxiter": settings.generations + 1,
    }
    strategy = cma.CMAEvolutionStrategy([0.0] * 8, 1.2, options)
    plain = replace(settings, local_steps=0)
    best: Candidate | None = None
    for _ in range(settings.generations + 1):
        asked = strategy.ask()
        candidates = tried(task, [str(taylor(one)) for one in asked], plain, seed)
        errors = [one.error for one in candidates]
        worst = max([error for error in errors if error < math.inf], default=1.0)
        strategy.tell(asked, [min(error, abs(worst) + worst + 1.0) for error in errors])
        best = min([*([best] if best else []), *candidates], key=lambda one: one.error)
    assert best is not None
    return best


def _minus(name: str, number: float) -> str:
    return f"({name} - {number!r})" if number else name
