"""Reptile: against a slow twin, in its paper-literal form, and as something that learns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from metricopt._errors import ConfigError
from metricopt._random import generator
from metricopt.value import (
    PAPER_REPTILE,
    Interpolation,
    ReptileConfig,
    Trajectories,
    ValueFunction,
    interpolate,
    reptile,
)
from metricopt.value.fit import split_runs
from metricopt.value.objective import value_loss

Runs = Callable[..., Trajectories]


def _trained(runs: Trajectories, norm: str = "batch", **config: Any) -> Any:
    value = ValueFunction(runs.dim, norm=norm, generator=generator(0, "value")).double()  # type: ignore[arg-type]
    report = reptile(value, runs, interpolate(runs), config=ReptileConfig(**config), generator=generator(0, "meta"))
    return value, report


def _twin(value: ValueFunction, runs: Trajectories, curve: Interpolation, config: ReptileConfig) -> ValueFunction:
    """Algorithm 1, lines 2 to 8, one task at a time, with torch.optim and deep copies."""
    stream = generator(0, "meta")
    _, kept = split_runs(runs.runs, config.holdout, stream)
    order = kept[torch.randperm(len(kept), generator=stream)]
    value.set_scale(runs.phis[kept], curve.mean[kept])
    phis = runs.phis.double()
    inner = value
    for index, run in enumerate(order.tolist()):
        inner = copy.deepcopy(value).train()
        optimizer = torch.optim.SGD(inner.parameters(), lr=config.inner_lr)
        for _ in range(config.inner_steps):
            optimizer.zero_grad()
            estimate, embedding = inner(phis[run])
            unit = value.utility_scale if config.standard_units else 1.0
            loss = value_loss(estimate, embedding, curve.mean[run], curve.std[run], unit=unit)
            loss.total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        rate = config.meta_lr * (1 - index / len(order))
        with torch.no_grad():
            for w, fast in zip(value.parameters(), inner.parameters(), strict=True):
                w.add_(rate * (fast - w))
    chosen = inner if config.return_inner else value
    chosen.calibrate(phis[kept])
    return chosen.eval()


@pytest.mark.parametrize("inner_steps", [1, 3])
@pytest.mark.parametrize("return_inner", [False, True])
def test_equals_the_twin(runs_of: Runs, inner_steps: int, return_inner: bool) -> None:
    runs = runs_of(runs=8, steps=12, observed=5)
    config = ReptileConfig(inner_steps=inner_steps, inner="sgd", return_inner=return_inner, statistics="task")
    curve = interpolate(runs)
    value = ValueFunction(8, generator=generator(0, "value")).double()
    expected = _twin(copy.deepcopy(value), runs, curve, config)
    reptile(value, runs, curve, config=config, generator=generator(0, "meta"))
    for (name, got), other in zip(value.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got, other, atol=1e-10, rtol=0, msg=name)
    x = runs.phis[:, 3].double()
    torch.testing.assert_close(value(x)[0], expected(x)[0], atol=1e-10, rtol=0)


def test_paper_literal_is_one_step_of_gradient_descent_per_task(runs_of: Runs) -> None:
    runs = runs_of(runs=8, steps=12, observed=5)
    curve = interpolate(runs)
    value = ValueFunction(8, generator=generator(0, "value")).double()
    expected = _twin(copy.deepcopy(value), runs, curve, PAPER_REPTILE)
    report = reptile(value, runs, curve, config=PAPER_REPTILE, generator=generator(0, "meta"))
    torch.testing.assert_close(value.head_weight, expected.head_weight, atol=1e-10, rtol=0)
    assert report.tasks == len(report.losses) == 6


def test_the_last_inner_weights_differ_from_the_meta_weights(runs_of: Runs) -> None:
    runs = runs_of(runs=8, steps=12, observed=5)
    slow, _ = _trained(runs)
    fast, _ = _trained(runs, return_inner=True)
    assert not torch.equal(slow.head_weight, fast.head_weight)


def test_learns_a_smooth_function(runs_of: Runs) -> None:
    value, report = _trained(runs_of(runs=60), passes=2)
    assert report.quality.spearman > 0.8
    assert report.quality.mae < report.quality.mae_of_mean
    assert report.tasks == 96
    assert report.triplets > 0
    assert sum(report.losses[-20:]) < 0.7 * sum(report.losses[:20])
    assert not value.training


@pytest.mark.parametrize(
    "change",
    [
        {"inner_steps": 1},
        {"inner": "sgd"},
        {"statistics": "task"},
        {"ordinal": False},
        {"uncertainty": False},
        {"standard_units": False},
        {"hardness": "sampled"},
        {"max_points": 4},
        {"meta_lr": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_switch_changes_the_result(runs_of: Runs, change: dict[str, Any]) -> None:
    runs = runs_of(runs=6, steps=10, observed=5)
    plain, _ = _trained(runs)
    other, report = _trained(runs, **change)
    assert not torch.equal(plain.head_weight, other.head_weight)
    assert (report.triplets == 0) == ("ordinal" in change)


def test_statistics_matter_for_batch_norm_only(runs_of: Runs) -> None:
    runs = runs_of(runs=6, steps=10, observed=5)
    a, _ = _trained(runs, norm="none")
    b, _ = _trained(runs, norm="none", statistics="task")
    assert torch.equal(a.head_weight, b.head_weight)


def test_same_seed_same_result(runs_of: Runs) -> None:
    runs = runs_of(runs=6, steps=10, observed=5)
    torch.manual_seed(0)
    a, first = _trained(runs, hardness="sampled")
    torch.manual_seed(1)
    b, second = _trained(runs, hardness="sampled")
    assert first == second
    assert torch.equal(a.head_weight, b.head_weight)


def test_a_single_run_is_trained_on_without_holdout(runs_of: Runs) -> None:
    _, report = _trained(runs_of(runs=1, steps=10, observed=5))
    assert report.quality is None
    assert report.tasks == 1


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("inner_steps", 0),
        ("inner_lr", 0.0),
        ("meta_lr", -1.0),
        ("inner", "lbfgs"),
        ("statistics", "some"),
        ("passes", 0),
        ("max_points", 1),
        ("holdout", 1.0),
        ("hardness", "soft"),
        ("gamma", 0.0),
        ("std_floor", 0.0),
    ],
)
def test_configuration_is_checked(field: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        ReptileConfig(**{field: wrong})
