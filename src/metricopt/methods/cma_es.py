"""CMA-ES over phi, by the `cma` package."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from .._checks import at_least, one_of, positive
from .._extras import require
from .._random import generator as named_generator
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget

Propose = Literal["best", "mean"]


@final
@dataclass(frozen=True, kw_only=True)
class CmaEs(Method):
    """Minimise `1 - utility` over `z = phi / phi_scale` from z = 0; phi = 0 is observed first.

    Where the strategy itself stops (it does on flat metrics), it starts anew from z = 0 with twice the population.

    Args:
        sigma0: the first step size, in units of `Problem.phi_scale`.
        population: points in a generation; None takes the strategy's own `4 + floor(3 ln d)`.
        propose: the "best" observed phi, or the "mean" of the last distribution. The mean averages the noise of a
            finite search split away, but it was not observed, so there is no utility to tell.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="CMA-ES",
        family="rival",
        paper="Hansen, arXiv:1604.00772; restarts: Auger and Hansen, CEC 2005",
        extra="cma",
    )

    sigma0: float = 0.5
    population: int | None = None
    propose: Propose = "best"

    def __post_init__(self) -> None:
        positive("sigma0", self.sigma0)
        if self.population is not None:
            at_least("population", self.population, 4)
        one_of("propose", self.propose, ("best", "mean"))

    @property
    def rates_its_proposal(self) -> bool:
        return self.propose == "best"

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, "CMA-ES")
        _cma()  # a missing extra is told before anything is spent
        normal = _normals(seed)
        observe_within_budget(problem, problem.start[None])
        population, generations, restarts, mean = self.population, 0, -1, None
        while problem.affordable(1):
            restarts += 1
            strategy = self._strategy(problem.dim, population, normal)
            while problem.affordable(1) and not strategy.stop():
                if not _generation(problem, strategy):
                    break
                generations += 1
                mean = problem.phi_scale * _phi_part(strategy.mean[None], problem.dim)[0]
            population = 2 * strategy.popsize
        diagnostics = {"generations": float(generations), "restarts": float(max(restarts, 0))}
        if self.propose == "mean" and mean is not None:
            return Proposal(phi=mean, diagnostics=diagnostics)
        return best_observed(problem, diagnostics)

    def _strategy(self, dim: int, population: int | None, normal: Callable[..., np.ndarray[Any, Any]]) -> Any:
        # The package does not support one dimension: a second one, which nothing reads, makes it work.
        options = {"randn": normal, "seed": np.nan, "verbose": -9, "verb_log": 0, "popsize": population}
        chosen = {name: value for name, value in options.items() if value is not None}
        return _cma().CMAEvolutionStrategy(np.zeros(max(dim, 2)), self.sigma0, chosen)


def _generation(problem: Problem, strategy: Any) -> bool:
    """Observe one whole generation and tell the strategy; False where the budget ended before its end."""
    asked = strategy.ask()
    utilities = observe_within_budget(problem, problem.phi_scale * _phi_part(np.stack(asked), problem.dim))
    if len(utilities) < len(asked):
        return False
    strategy.tell(asked, (1.0 - utilities).tolist())
    return True


def _phi_part(points: np.ndarray[Any, Any], dim: int) -> Tensor:
    return torch.from_numpy(points[:, :dim]).float()


def _normals(seed: int) -> Callable[..., np.ndarray[Any, Any]]:
    """Normal numbers for the strategy from a stream of our own: it would seed NumPy's global one."""
    generator = named_generator(seed, "cma")

    def normal(*shape: int) -> np.ndarray[Any, Any]:
        drawn: np.ndarray[Any, Any] = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
        return drawn

    return normal


def _cma() -> Any:
    with warnings.catch_warnings():
        # Said once on import where matplotlib is missing. Nothing is plotted here.
        warnings.filterwarnings("ignore", message="Could not import matplotlib", category=UserWarning)
        return require("cma", extra="cma", purpose="CMA-ES")
