"""A run that diverges stays at its last finite phi and leaves the others alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.search import GradientSource, GuidedES, SearchState, finetune
from metricopt.value import ValueFunction
from tiny_problem import tiny_problem


@dataclass(frozen=True, kw_only=True)
class Explodes(GradientSource):
    """The first run gets infinity from its second step on, the second run a plain gradient."""

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        direction = torch.ones_like(phis)
        if bool((phis[0] != 0).any()):
            direction[0] = torch.inf
        return direction, state


def test_one_diverging_run_does_not_take_the_others_along() -> None:
    problem = tiny_problem(calls=1)
    events = finetune(
        problem,
        Explodes(),
        lambda params: torch.optim.SGD(params, lr=0.5),
        start=torch.zeros(2, problem.dim),
        steps=4,
        seeds=[0, 1],
    )
    last = list(events)[-1].phis
    assert torch.equal(last[0], torch.full((problem.dim,), -0.5))
    assert torch.equal(last[1], torch.full((problem.dim,), -2.0))


def test_guided_es_asks_for_the_frozen_value_function() -> None:
    with pytest.raises(ConfigError, match="frozen"):
        GuidedES(value=ValueFunction(4, generator=generator(0, "value")))  # type: ignore[arg-type]
