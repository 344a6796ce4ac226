"""How a search divides its budget over its stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import pytest

from metricopt.job.stages import Plan, plan, run_stages
from metricopt.methods import METHODS, Method, MethodCard
from metricopt.methods.method import Proposal, best_observed, observe_within_budget
from metricopt.problem import Problem
from tiny_problem import Ticks, tiny_problem


@final
@dataclass(frozen=True, kw_only=True)
class Spend(Method):
    """Asks about phi = 0 so many times, or as often as it may."""

    wish: int
    card: ClassVar[MethodCard] = MethodCard(title="spends", family="control")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        del seed
        for _ in range(self.wish):
            if not len(observe_within_budget(problem, problem.start[None])):
                break
        return best_observed(problem)


def stage(name: str, wish: int, share: float) -> Plan:
    return Plan(name=name, title=name, method=Spend(wish=wish), share=share)


@pytest.mark.parametrize(
    ("wishes", "spent"), [((99, 99, 99), [10, 4, 26]), ((3, 99, 99), [3, 4, 33]), ((0, 0, 99), [0, 0, 40])]
)
def test_what_a_stage_leaves_the_next_ones_may_spend(wishes: tuple[int, ...], spent: list[int]) -> None:
    stages = [stage(str(i), wish, share) for i, (wish, share) in enumerate(zip(wishes, (0.25, 0.1, 0.65), strict=True))]
    begun: list[str] = []
    candidates = run_stages(
        tiny_problem(), stages, calls=40, seconds=None, seed=0, begin=lambda one: begun.append(one.name)
    )
    assert [one.result.calls for one in candidates] == spent
    assert begun == ["0", "1", "2"]


def test_seconds_are_divided_the_same_way() -> None:
    stages = [stage("first", 2, 0.5), stage("last", 10**6, 0.5)]
    problem = tiny_problem(calls=None)
    problem._clock = Ticks()
    first, last = run_stages(problem, stages, calls=None, seconds=60.0, seed=0, begin=lambda one: None)
    assert first.result.calls == 2
    assert 30 < first.result.seconds + last.result.seconds <= 62


def test_auto_is_metricopt_and_several_methods_share_alike() -> None:
    (auto,) = plan("auto")
    assert (auto.name, auto.method, auto.share) == ("metricopt", METHODS["metricopt"].method, 1.0)
    assert [(one.name, one.share) for one in plan(["threshold", "cma_es"])] == [("threshold", 0.5), ("cma_es", 0.5)]
