"""Guided runs on a value function that was learned on another model of the family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from ..._random import derive_seed
from ..._random import generator as named_generator
from ...problem import Problem
from ...value import LearnedValue, ValueFunction
from ..method import Method, MethodCard, Proposal, best_observed, observe_within_budget
from .config import MetricOptConfig
from .estimates import ALL_CALLS, estimates
from .tune import guided_runs


@final
@dataclass(frozen=True, kw_only=True)
class Transfer(Method):
    """Descend the estimates of `learned` from phi = 0; what is observed on the way refines it.

    Without metric calls it proposes the mean of the best estimates. With some, the ends of the runs are observed, the
    value function is refitted after each round (`LearnedValue.adapt`), and the best observation is proposed.

    Args:
        learned: for the same phi.
        config: of the guided runs.
        most_rounds: rounds of runs and refits that the calls are divided over.
    """

    learned: LearnedValue
    config: MetricOptConfig = field(default_factory=MetricOptConfig)
    most_rounds: int = 4
    card: ClassVar[MethodCard] = MethodCard(title="learned value function of another model", family="metricopt")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        problem.spec.check_fingerprint(self.learned.function.fingerprint, "the value function")
        learned, first = self.learned, problem.affordable(ALL_CALLS)
        observe_within_budget(problem, problem.start[None])
        for round_ in range(self.most_rounds):
            own = derive_seed(seed, "transfer", round_)
            visited = self._runs(problem, learned.function, own)
            if not first:
                return self._by_estimate(problem, learned.function, visited)
            left = problem.affordable(ALL_CALLS)
            count = min(max(left // (self.most_rounds - round_), 1), left)
            if not count:
                break
            picked = _spread_best(learned.function, visited, count)
            before = len(problem.observations[1])
            observe_within_budget(problem, picked)
            phis, utilities = (part[before:] for part in problem.observations)
            if len(utilities) >= 2:
                learned = learned.adapt(phis, utilities, seed=own)
        best = best_observed(problem)
        return Proposal(phi=best.phi, utility=best.utility, value=learned.function)

    def _runs(self, problem: Problem, value: ValueFunction, seed: int) -> Tensor:
        """All phis of the second half of the runs, `(runs, steps, d)`."""
        config, phi_scale = self.config, problem.phi_scale
        noise = torch.randn(config.runs, problem.dim, generator=named_generator(seed, "starts")) * phi_scale
        noise[0] = 0
        path = guided_runs(problem, value, config, start=0.1 * noise, phi_scale=phi_scale, seed=seed)
        return torch.stack(path[config.steps // 2 :], dim=1)

    def _by_estimate(self, problem: Problem, value: ValueFunction, visited: Tensor) -> Proposal:
        phis = visited.flatten(0, 1)
        best = estimates(value, phis).topk(min(self.config.top, len(phis)))
        utility = float(best.values.mean().clamp(0.0, 1.0))
        return Proposal(phi=phis[best.indices].mean(dim=0), utility=utility, value=value)


def _spread_best(value: ValueFunction, visited: Tensor, count: int) -> Tensor:
    """`(count, d)`: the best estimates, run by run in turn, so that they do not all come from one place."""
    order = estimates(value, visited).argsort(dim=1, descending=True)
    turns = torch.gather(visited, 1, order[..., None].expand_as(visited)).transpose(0, 1).flatten(0, 1)
    return turns[:count]
