"""Random search: points around phi = 0, keep the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from .._checks import positive
from .._random import generator as named_generator
from ..problem import Problem
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget

#: Points are always drawn in blocks of this size, so that a smaller budget sees the first points of a larger one.
_BLOCK = 32


@final
@dataclass(frozen=True, kw_only=True)
class RandomSearch(Method):
    """`phi = phi_scale * radius * e`, e standard normal in all coordinates; phi = 0 first.

    Args:
        radius: how far the points lie, in units of `Problem.phi_scale`.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="random search", family="rival", paper="Bergstra and Bengio, JMLR 13, 2012"
    )

    radius: float = 1.0

    def __post_init__(self) -> None:
        positive("radius", self.radius)

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        needs_a_limit(problem, "random search")
        generator = named_generator(seed, "random search")
        observe_within_budget(problem, problem.start[None])
        while problem.affordable(1):
            points = torch.randn(_BLOCK, problem.dim, generator=generator)
            observe_within_budget(problem, problem.phi_scale * self.radius * points)
        return best_observed(problem)
