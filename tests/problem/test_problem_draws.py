"""Mini-batches, plain and class-balanced, and the examples they come from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from metricopt._errors import ConfigError
from metricopt.adapters import OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, get_metric
from metricopt.problem import Problem
from metricopt.workload import Examples
from tiny_problem import problem_of


def problem(targets: torch.Tensor, **settings: Any) -> Problem:
    outputs = 1 if targets.dim() == 1 and targets.max() <= 1 else 3
    inputs = torch.randn(len(targets), 4, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(4, outputs)
    return problem_of(
        attach(model, OutputShift(), probe=inputs[:2]),
        loss=cross_entropy,
        metric=get_metric("accuracy"),
        train=Examples(inputs=inputs, targets=targets),
        val=Examples(inputs=inputs, targets=targets),
        budget=Budget(calls=1),
        **settings,
    )


RARE = torch.cat([torch.zeros(180), torch.ones(20)])
THREE = torch.tensor([0] * 150 + [1] * 45 + [2] * 5)


def test_plain_batches_draw_every_example_alike() -> None:
    drawn = problem(RARE, batch_size=100).draws(0, 400)
    assert drawn.shape == (400, 100)
    counts = torch.bincount(drawn.reshape(-1), minlength=200)
    # 40,000 draws over 200 examples: 200 each, with a standard deviation of 14.
    assert 200 - 5 * 14.2 < int(counts.min()) <= int(counts.max()) < 200 + 5 * 14.2


@pytest.mark.parametrize(("targets", "share"), [(RARE, [64, 64]), (THREE, [42, 43, 43])])
def test_balanced_batches_hold_each_class_equally_often(targets: torch.Tensor, share: list[int]) -> None:
    made = problem(targets, batch_size=128, sampler="balanced")
    for row in made.draws(1, 20):
        assert sorted(torch.bincount(made.workload.train.targets[row].long()).tolist()) == share


def test_a_balanced_batch_smaller_than_the_number_of_classes_reaches_all_of_them_in_turn() -> None:
    targets = torch.arange(3).repeat_interleave(7)
    made = problem(targets, batch_size=2, sampler="balanced")
    counts = torch.bincount(targets[made.draws(0, 30)].reshape(-1), minlength=3)
    assert counts.tolist() == [20, 20, 20]


def test_balanced_batches_draw_every_example_of_a_class_alike() -> None:
    made = problem(THREE, batch_size=90, sampler="balanced")
    counts = torch.bincount(made.draws(2, 1000).reshape(-1), minlength=200)
    for label, members in ((0, 150), (1, 45), (2, 5)):
        mean = 30_000 / members
        mine = counts[THREE == label].double()
        assert float((mine - mean).abs().max()) < 5 * mean**0.5


def test_classes_need_not_be_sorted_or_numbered_without_gaps() -> None:
    targets = torch.tensor([2, 0, 2, 2, 0, 2] * 5)
    made = problem(targets, batch_size=10, sampler="balanced")
    labels = targets[made.draws(0, 3)]
    assert torch.equal((labels == 2).sum(dim=1), torch.tensor([5, 5, 5]))


@pytest.mark.parametrize("sampler", ["plain", "balanced"])
def test_draws_depend_on_the_seed_alone(sampler: str) -> None:
    made = problem(RARE, batch_size=16, sampler=sampler)
    first = made.draws(3, 5)
    torch.rand(10)
    made.draws(4, 7)
    assert torch.equal(made.draws(3, 5), first)
    assert not torch.equal(made.draws(4, 5), first)
    assert made.draws(3, 0).shape == (0, 16)


def test_multilabel_targets_cannot_be_balanced() -> None:
    targets = torch.randint(2, (30, 3), generator=torch.Generator().manual_seed(1)).float()
    with pytest.raises(ConfigError, match='needs one class per example; use sampler="plain"'):
        problem(targets, sampler="balanced").draws(0, 1)


def test_messages_of_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match="sampler must be one of plain, balanced; got 'other'"):
        problem(RARE, sampler="other")
    with pytest.raises(ConfigError, match="batch_size must be an integer of at least 1, got 0"):
        problem(RARE, batch_size=0)
    with pytest.raises(ConfigError, match="steps must be an integer of at least 0, got -1"):
        problem(RARE).draws(0, -1)
    with pytest.raises(ConfigError, match="phi must end in dimension 2, got shape"):
        problem(RARE, phi_scale=torch.ones(5))


def test_examples_must_pair_up() -> None:
    with pytest.raises(ConfigError, match="same length of at least 1, got 3 and 4"):
        Examples(inputs=torch.zeros(3, 2), targets=torch.zeros(4))
    with pytest.raises(ConfigError, match="same length of at least 1, got 0 and 0"):
        Examples(inputs=torch.zeros(0, 2), targets=torch.zeros(0))
    assert len(Examples(inputs=torch.zeros(3, 2), targets=torch.zeros(3))) == 3


def test_a_pair_does_for_examples() -> None:
    inputs, targets = torch.randn(10, 4), torch.ones(10)
    adapted = attach(nn.Linear(4, 1), OutputShift(), probe=inputs[:2])
    made = problem_of(
        adapted,
        loss=cross_entropy,
        metric=get_metric("accuracy"),
        train=(inputs, targets),
        val=(inputs, targets),
        budget=Budget(),
    )
    assert made.workload.train.inputs is inputs
    assert len(made.workload.val) == 10
