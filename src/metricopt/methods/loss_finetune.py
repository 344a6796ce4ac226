"""Finetune phi on the loss alone, look at the metric often, keep the best (the paper's control in Tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from .._checks import at_least, below_one, one_of, positive
from .._random import derive_seed
from ..problem import Problem
from ..search import Event, LossOnly, finetune
from .method import Method, MethodCard, Proposal, best_observed, needs_a_limit, observe_within_budget


@final
@dataclass(frozen=True, kw_only=True)
class LossFinetune(Method):
    """Runs of `steps` loss steps from phi = 0, each with its own mini-batches, the metric observed along the way.

    As many runs as the budget pays for at `steps + 1` observations a run; the last one is cut short.

    Args:
        steps: T.
        lr: step size of SGD in units of phi_scale.
        momentum: SGD's.
        pick: "best" observation, or the "last" phi of one run, for which the metric is never read.
    """

    card: ClassVar[MethodCard] = MethodCard(
        title="loss finetuning, dense metric, best pick", family="reference", paper="MetricOpt, Tables 1 and 2"
    )

    steps: int = 50
    lr: float = 1.0
    momentum: float = 0.9
    pick: str = "best"

    def __post_init__(self) -> None:
        one_of("pick", self.pick, ("best", "last"))
        at_least("steps", self.steps, 1)
        positive("lr", self.lr)
        below_one("momentum", self.momentum)

    @property
    def rates_its_proposal(self) -> bool:
        return self.pick == "best"

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        if self.pick == "last":
            *_, end = self._events(problem, seed, run=0)
            return Proposal(phi=end.phis[0])
        needs_a_limit(problem, self.card.title)
        run = 0
        while problem.affordable(1):
            for event in self._events(problem, seed, run):
                if event.step == 0 and run > 0:
                    continue  # phi = 0 again
                if not len(observe_within_budget(problem, event.phis)):
                    break
            run += 1
        return best_observed(problem)

    def _events(self, problem: Problem, seed: int, run: int) -> Iterator[Event]:
        return finetune(
            problem,
            LossOnly(),
            lambda params: torch.optim.SGD(params, lr=self.lr, momentum=self.momentum),
            start=problem.start[None],
            steps=self.steps,
            seeds=[derive_seed(seed, "loss finetune", run)],
            phi_scale=problem.phi_scale,
        )
