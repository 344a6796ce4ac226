"""The model as it was trained: where every comparison starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ..problem import Problem
from .method import Method, MethodCard, Proposal


@final
@dataclass(frozen=True, kw_only=True)
class AsTrained(Method):
    """phi = 0. Spends nothing."""

    card: ClassVar[MethodCard] = MethodCard(title="as trained", family="reference")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        return Proposal(phi=problem.start)
