"""What every method has in common: a card, one `run`, one `Result`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._checks import finite_only
from .._errors import BudgetExhausted, ConfigError
from ..metrics import Budget
from ..problem import Problem
from ..runtime import one_thread
from ..value import LearnedValue, Trajectories, ValueFunction


@dataclass(frozen=True, kw_only=True)
class MethodCard:
    """What tables, the command line and the documentation say of a method.

    Args:
        title: one line for tables.
        family: "reference", "rival", "metricopt", "control", "ablation" or "ladder" (from the paper's reading to ours).
        paper: where it comes from.
        extra: the optional dependency it needs, if any.
        adapters: the name of the set of adapters it runs on, "shifted", "paper" or, in the arena, "shift".
        kinds: of outputs that it works on; empty for all.
    """

    title: str
    family: str
    paper: str = ""
    extra: str | None = None
    adapters: str = "shifted"
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a method that learns saw on its way, for those who want to look.

    Args:
        forecasts: `(k, 3)`: predicted utility, spread of the prediction, utility observed afterwards.
        trajectories: the runs with their sparse observations, in lock-step, where there were runs.
        loss_runs: so many of them, the first ones, follow the loss; a value function guided the others.
    """

    forecasts: Tensor
    trajectories: Trajectories | None = None
    loss_runs: int = 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a method proposes, and what it spent.

    Args:
        phi: `(d,)`, the proposal.
        utility: what the method believes it is worth on the search split; None where it has no opinion.
        calls, seconds: what was spent.
        phis, utilities: every observation in order, `(m, d)` and `(m,)`: the anytime curve is their running best.
        diagnostics: plain numbers worth a column, for example the held-out quality of the value function.
        value: the value function that was learned, if one was; `value.save(path)` keeps it.
        trace: what it was learned from.
    """

    phi: Tensor
    utility: float | None
    calls: int
    seconds: float
    phis: Tensor
    utilities: Tensor
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    value: LearnedValue | ValueFunction | None = field(default=None, repr=False)
    trace: Trace | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagnostics", finite_only(self.diagnostics))

    @property
    def anytime(self) -> Tensor:
        """Best utility after each call, `(m,)`."""
        return torch.cummax(self.utilities, dim=0).values if len(self.utilities) else self.utilities


#: More calls than anyone has: what is affordable of it is what is left.
ALL_CALLS = 1 << 40


class Method(ABC):
    """`run(problem, seed=)` to a `Result`. Subclasses are frozen dataclasses: their fields are their settings."""

    card: ClassVar[MethodCard]

    @property
    def rates_its_proposal(self) -> bool:
        """Whether the proposal comes with a utility; where not, whoever wants to compare it measures it once."""
        return True

    def run(self, problem: Problem, *, seed: int, budget: Budget | None = None) -> Result:
        """Search until done or until the budget is spent, then propose.

        Randomness depends on `seed` and the problem alone. Running out of budget is a normal end.

        Args:
            problem: what to improve.
            seed: of everything random in the search.
            budget: a fresh one for this run alone, which then starts without observations; None spends the
                problem's own and goes on from what it has observed.
        """
        if budget is not None:
            problem = problem.with_budget(budget)
        with one_thread() if problem.workload.is_small else nullcontext():
            search = self.search(problem, seed=seed)
        return Result(
            phi=search.phi.detach().clone(),
            utility=search.utility,
            calls=problem.meter.calls,
            seconds=problem.meter.seconds,
            phis=problem.memory.phis,
            utilities=problem.memory.utilities,
            diagnostics=dict(search.diagnostics),
            value=search.value,
            trace=search.trace,
        )

    @abstractmethod
    def search(self, problem: Problem, *, seed: int) -> Proposal:
        """The method itself. It may let BudgetExhausted out only where it has nothing to propose."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What `Method.search` returns."""

    phi: Tensor
    utility: float | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    value: LearnedValue | ValueFunction | None = None
    trace: Trace | None = None


def best_observed(problem: Problem, diagnostics: Mapping[str, float] | None = None) -> Proposal:
    """The best phi that was observed so far, the earliest of equals; the start where nothing was."""
    phis, utilities = problem.observations
    if len(utilities) == 0:
        return Proposal(phi=problem.start, diagnostics=diagnostics or {})
    best = int(utilities.argmax())
    return Proposal(phi=phis[best], utility=float(utilities[best]), diagnostics=diagnostics or {})


def observe_within_budget(problem: Problem, phis: Tensor, outputs: Any = None) -> Tensor:
    """Utilities of as many of `phis` as the budget covers, in order; possibly none. `outputs` as `Problem.observe`."""
    count = problem.affordable(len(phis))
    before = len(problem.observations[1])
    try:
        return problem.observe(phis[:count], outputs) if count else torch.zeros(0, dtype=torch.float64)
    except BudgetExhausted:  # the time ran out half-way
        return problem.observations[1][before:]


def needs_a_limit(problem: Problem, method: str) -> None:
    """Raise ConfigError where neither calls nor seconds are limited: a search that never stops by itself would not
    end."""
    budget = problem.meter.budget
    if budget.calls is None and budget.seconds is None:
        raise ConfigError(
            f"{method} searches until its budget is spent, but {budget} has no limit; give calls or seconds"
        )
