"""A small table, and a method that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from metricopt.bench import Run
from metricopt.methods import METHODS, Method, MethodCard, MethodEntry, Proposal
from metricopt.problem import Problem


@pytest.fixture
def runs() -> list[Run]:
    """Twelve quick runs on two tasks."""
    return [
        Run(data="breast_cancer", sampler=sampler, metric=metric, method=method, seed=0, calls=12)
        for sampler in ("balanced", "plain")
        for metric in ("mcr", "f1")
        for method in ("as_trained", "random_search", "loss_finetune")
    ]


@dataclass(frozen=True, kw_only=True)
class Fails(Method):
    card: ClassVar[MethodCard] = MethodCard(title="fails", family="control")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        raise RuntimeError("this method cannot search")


@pytest.fixture
def failing_method() -> Iterator[str]:
    METHODS.add("fails", MethodEntry(card=Fails.card, method=Fails()))
    yield "fails"
    del METHODS._items["fails"]
