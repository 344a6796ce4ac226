"""Two-point search: climb a gradient that is guessed from the metric at two opposite points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from .._checks import positive
from .._random import generator as named_generator
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget


@final
@dataclass(frozen=True, kw_only=True)
class TwoPoint(Method):
    """`z += rate * (u(z + eps e) - u(z - eps e)) / (2 eps) * e` with e standard normal, in z = phi / phi_scale (SPSA;
    MeZO without its saving of memory, which phi does not need). The utility's slope is taken in units of its spread.

    Args:
        eps: how far the two points lie from z.
        rate: of the steps.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="two-point search (MeZO)", family="rival", paper="Malladi et al., NeurIPS 2023; Spall 1992"
    )

    eps: float = 0.3
    rate: float = 0.3

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        positive("rate", self.rate)

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, self.card.title)
        generator = named_generator(seed, "two-point")
        observe_within_budget(problem, problem.start[None])
        z = torch.zeros(problem.dim)
        while problem.affordable(2) == 2:
            direction = torch.randn(problem.dim, generator=generator)
            both = observe_within_budget(
                problem, problem.phi_scale * torch.stack([z + self.eps * direction, z - self.eps * direction])
            )
            if len(both) < 2:
                break
            spread = float(problem.memory.utilities.std().clamp_min(1e-6))
            z = z + self.rate * float((both[0] - both[1]).sign()) * direction * min(
                float((both[0] - both[1]).abs()) / spread, 1.0
            )
        observe_within_budget(problem, (problem.phi_scale * z)[None])
        return best_observed(problem)
