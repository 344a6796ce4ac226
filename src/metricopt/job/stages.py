"""What a search tries, in which order, and with which share of the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from .._errors import ConfigError
from ..methods import METHODS, Method, Result
from ..metrics import Budget
from ..problem import Problem

MethodLike: TypeAlias = Literal["auto"] | str | Method | Sequence[str | Method]

#: Under this many calls a value function has too little to learn from.
LEAST_TO_LEARN = 10


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One stage before it runs.

    Args:
        name, title: what to call it.
        method: what runs.
        share: of the metric calls and seconds of the search.
    """

    name: str
    title: str
    method: Method
    share: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one stage proposed.

    Args:
        name, title: of the stage.
        result: what its method returned; its utilities are of the search part.
        value: the metric of its proposal on the search part, None where the method has no opinion.
    """

    name: str
    title: str
    result: Result
    value: float | None


def plan(method: MethodLike) -> list[Plan]:
    """The stages of a search: one for each method named.

    Args:
        method: "auto", which is "metricopt", a name in `METHODS`, a `Method`, or several.
    """
    if isinstance(method, str) and method == "auto":
        method = "metricopt"
    several: Sequence[str | Method] = [method] if isinstance(method, str | Method) else list(method)
    if not several:
        raise ConfigError('method must name at least one method, got an empty list; "auto" chooses')
    return [_named(one, 1 / len(several)) for one in several]


def _named(method: str | Method, share: float) -> Plan:
    if isinstance(method, Method):
        return Plan(name=type(method).__name__, title=method.card.title, method=method, share=share)
    entry = METHODS[method]
    return Plan(name=method, title=entry.card.title, method=entry.method, share=share)


def label_kind(problem: Problem) -> str | None:
    """Binary, multiclass or multilabel where the targets are labels of that kind, else None: real numbers, ranks."""
    kind = problem.workload.kind
    return kind if kind in ("binary", "multiclass", "multilabel") else None


def run_stages(
    problem: Problem,
    stages: Sequence[Plan],
    *,
    calls: int | None,
    seconds: float | None,
    seed: int,
    begin: Callable[[Plan], None],
) -> list[Candidate]:
    """Run the stages in turn. Each gets its share of what is left, so what one does not spend the next ones may.

    Args:
        problem: what is to be improved.
        stages: from `plan`.
        calls, seconds: of all stages together; None for no limit.
        seed: of everything random.
        begin: is told each stage before it runs.
    """
    candidates: list[Candidate] = []
    for position, stage in enumerate(stages):
        begin(stage)
        share = stage.share / sum(one.share for one in stages[position:])
        spent = [one.result for one in candidates]
        budget = Budget(
            calls=None if calls is None else int((calls - sum(one.calls for one in spent)) * share),
            seconds=None if seconds is None else max((seconds - sum(one.seconds for one in spent)) * share, 1e-3),
        )
        blind = not stage.method.rates_its_proposal
        if blind and budget.calls:  # one call is kept to see what it proposes
            budget = replace(budget, calls=budget.calls - 1)
        own = problem.with_budget(budget)
        result = stage.method.run(own, seed=seed)
        if blind and (calls is None or calls > sum(one.calls for one in (*spent, result))):
            result = _with_utility(result, own)
        value = None if result.utility is None else problem.metric.raw(result.utility)
        candidates.append(Candidate(name=stage.name, title=stage.title, result=result, value=value))
    return candidates


def _with_utility(result: Result, problem: Problem) -> Result:
    """What a method without an opinion of its own worth proposes is measured once, so that it can be chosen."""
    if result.utility is not None or torch.equal(result.phi, problem.start):
        return result
    once = problem.with_budget(Budget(calls=1))
    utility = float(once.observe(result.phi[None])[0])
    return replace(
        result,
        utility=utility,
        calls=result.calls + 1,
        phis=torch.cat([result.phis, once.memory.phis]),
        utilities=torch.cat([result.utilities, once.memory.utilities]),
    )


def best(candidates: Sequence[Candidate], start: Tensor) -> Candidate | None:
    """The candidate with the highest utility on the search part; of equals the earliest, which is the simplest."""
    moved = [one for one in candidates if one.result.utility is not None and not torch.equal(one.result.phi, start)]
    return max(moved, key=lambda one: one.result.utility or 0.0, default=None)
