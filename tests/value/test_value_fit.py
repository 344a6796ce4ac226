"""Offline training: it learns, it reports what it did, its switches switch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor

from metricopt._errors import ConfigError, FingerprintMismatch
from metricopt._random import generator
from metricopt.value import FitConfig, FitReport, Interpolation, Trajectories, ValueFunction, fit, interpolate, quality
from metricopt.value.fit import split_runs

Runs = Callable[..., Trajectories]


def _fitted(runs: Trajectories, seed: int = 0, options: dict[str, Any] | None = None, **config: Any) -> Any:
    value = ValueFunction(runs.dim, generator=generator(seed, "value"), **(options or {}))
    report = fit(value, runs, interpolate(runs), config=FitConfig(**config), generator=generator(seed, "fit"))
    return value, report


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_learns_a_smooth_function_from_forty_short_noisy_runs(
    runs_of: Runs, utility_of: Callable[[Tensor], Tensor], norm: str
) -> None:
    value, report = _fitted(runs_of(), options={"norm": norm}, steps=300)
    assert report.quality is not None
    assert report.quality.points == 64
    assert report.quality.spearman > 0.8
    assert report.quality.mae < 0.6 * report.quality.mae_of_mean
    assert not value.training
    # And it holds beside the runs as well.
    phis = 0.8 * torch.randn(300, 8, generator=generator(7, "elsewhere"))
    assert quality(value(phis)[0], utility_of(phis)).spearman > 0.7


def test_an_ensemble_learns_and_its_spread_grows_away_from_the_data(runs_of: Runs) -> None:
    runs = runs_of()
    value, report = _fitted(runs, options={"members": 3}, steps=150)
    assert report.quality.spearman > 0.8
    with torch.no_grad():
        near = value.spread(runs.phis[:, 0]).mean()
        far = value.spread(5 * torch.randn(100, 8, generator=generator(0, "far"))).mean()
    assert float(far) > 2 * float(near)


def test_a_member_of_an_ensemble_does_not_feel_the_others(runs_of: Runs) -> None:
    runs = runs_of(runs=8, steps=10)
    curve = interpolate(runs)
    config = FitConfig(steps=6, holdout=0.0)
    pair = ValueFunction(8, members=2, generator=generator(0, "value")).double()
    alone = ValueFunction(8, generator=generator(1, "value")).double()
    members = {n: t for n, t in pair.state_dict().items() if not n.startswith(("phi", "utility"))}
    alone.load_state_dict({n: t[1:] for n, t in members.items()}, strict=False)
    for value in (pair, alone):
        fit(value, runs, curve, config=config, generator=generator(0, "fit"))
    x = runs.phis[:, 0].double()
    torch.testing.assert_close(pair.members_forward(x)[0][1], alone(x)[0], atol=1e-9, rtol=0)


def test_same_seed_same_result_and_no_global_random_state(runs_of: Runs) -> None:
    runs = runs_of(runs=10, steps=10, observed=4)
    torch.manual_seed(1)
    a, report_a = _fitted(runs, steps=30, hardness="sampled")
    torch.manual_seed(2)
    b, report_b = _fitted(runs, steps=30, hardness="sampled")
    c, _ = _fitted(runs, seed=1, steps=30, hardness="sampled")
    assert report_a == report_b
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.head_weight, c.head_weight)


@pytest.mark.parametrize(
    "change",
    [{"ordinal": False}, {"uncertainty": False}, {"hardness": "sampled"}, {"standard_units": False}, {"gamma": 1.0}],
    ids=lambda change: next(iter(change)),
)
def test_every_switch_changes_the_result(runs_of: Runs, change: dict[str, Any]) -> None:
    runs = runs_of(runs=10, steps=10, observed=4)
    plain, report = _fitted(runs, steps=20)
    other, changed = _fitted(runs, steps=20, **change)
    assert not torch.equal(plain.head_weight, other.head_weight)
    assert report.triplets > 0
    assert (changed.triplets == 0) == ("ordinal" in change)


def test_linear_interpolation_is_a_switch_too(runs_of: Runs) -> None:
    runs = runs_of(runs=10, steps=10, observed=4)
    value = ValueFunction(8, generator=generator(0, "value"))
    fit(value, runs, interpolate(runs, kind="linear"), config=FitConfig(steps=20), generator=generator(0, "fit"))
    plain, _ = _fitted(runs, steps=20)
    assert not torch.equal(plain.head_weight, value.head_weight)


def test_without_uncertainty_the_std_does_not_weigh_the_regression(runs_of: Runs) -> None:
    runs = runs_of(runs=6, steps=10, observed=4)
    curve = interpolate(runs)
    mean_std = curve.std.mean()
    flat = Interpolation(mean=curve.mean, std=mean_std.expand(curve.std.shape))
    results = []
    for series, uncertainty in ((curve, False), (flat, True), (curve, True)):
        value = ValueFunction(8, generator=generator(0, "value")).double()
        config = FitConfig(steps=10, ordinal=False, uncertainty=uncertainty, holdout=0.0)
        fit(value, runs, series, config=config, generator=generator(0, "fit"))
        results.append(value.head_weight.detach())
    torch.testing.assert_close(results[0], results[1], atol=1e-12, rtol=0)
    assert not torch.allclose(results[0], results[2], atol=1e-6)


def test_early_stop_keeps_the_best_weights(runs_of: Runs) -> None:
    runs = runs_of(runs=10, steps=10, observed=4, noise=0.05)
    _, report = _fitted(runs, steps=400, check_every=10, patience=3)
    assert report.steps == report.best_step + 30 < 400
    best = min(report.held_out_losses)
    assert report.held_out_losses.index(best) == report.best_step // 10 - 1
    assert len(report.losses) == len(report.held_out_losses) == report.steps // 10
    _, patient = _fitted(runs, steps=60, check_every=10, patience=None)
    assert patient.steps == patient.best_step == 60


def test_the_training_loss_falls(runs_of: Runs) -> None:
    _, report = _fitted(runs_of(), steps=100, check_every=1, patience=None)
    assert sum(report.losses[-10:]) < 0.5 * sum(report.losses[:10])


def test_without_holdout_there_is_no_held_out_quality(runs_of: Runs) -> None:
    runs = runs_of(runs=5, steps=10, observed=4)
    _, report = _fitted(runs, steps=10, holdout=0.0)
    assert report.quality is None
    assert report.held_out_losses == ()
    assert report.train_quality.points == 20
    _, single = _fitted(runs.select([0]), steps=10)
    assert single.quality is None
    assert single.train_quality.points == 4


def test_split_of_runs() -> None:
    for count, share, expected in ((10, 0.2, 2), (3, 0.1, 1), (2, 0.9, 1), (1, 0.5, 0), (10, 0.0, 0)):
        held, kept = split_runs(count, share, generator(0))
        assert len(held) == expected
        assert sorted(held.tolist() + kept.tolist()) == list(range(count))


def test_held_out_runs_do_not_teach(runs_of: Runs) -> None:
    runs = runs_of(runs=10, steps=8, observed=4)
    curve = interpolate(runs)
    held, _ = split_runs(10, 0.2, generator(0, "fit"))
    wrong = curve.mean.clone()
    wrong[held] = 1.0 - wrong[held]
    weights = []
    for mean in (curve.mean, wrong):
        value = ValueFunction(8, generator=generator(0, "value"))
        config = FitConfig(steps=15, patience=None)
        series = Interpolation(mean=mean, std=curve.std)
        fit(value, runs, series, config=config, generator=generator(0, "fit"))
        weights.append(value.head_weight.detach())
    assert torch.equal(weights[0], weights[1])


def fit_points(
    value: ValueFunction,
    phis: Tensor,
    utilities: Tensor,
    std: Tensor | float,
    *,
    config: FitConfig,
    generator: torch.Generator,
) -> FitReport:
    """Points that lie on no trajectory: so many runs of one step."""
    runs = Trajectories(runs=len(phis), fingerprint=value.fingerprint, dim=value.dim)
    runs.append(0, phis, utilities)
    spread = torch.as_tensor(std, dtype=torch.float64).expand(utilities.shape)
    series = Interpolation(mean=utilities[:, None].double(), std=spread[:, None])
    return fit(value, runs, series, config=config, generator=generator)


def test_training_goes_on_from_the_weights_and_scales_there_are(runs_of: Runs) -> None:
    runs = runs_of()
    value, _ = _fitted(runs, steps=100)
    scale = value.phi_scale.clone()
    phis, utilities = runs.observations
    first = quality(value(phis)[0], utilities).mae
    config = FitConfig(steps=5, lr=1e-4, rescale=False, holdout=0.0)
    report = fit_points(value, phis * 1.01, utilities, 0.01, config=config, generator=generator(1))
    assert torch.equal(value.phi_scale, scale)
    assert report.train_quality.mae < first + 0.01
    fit_points(value, 2 * phis, utilities, 0.01, config=FitConfig(steps=5), generator=generator(1))
    assert not torch.equal(value.phi_scale, scale)


def test_points_without_trajectories(utility_of: Callable[[Tensor], Tensor]) -> None:
    phis = torch.randn(300, 4, generator=generator(0, "points"))
    value = ValueFunction(4, generator=generator(0, "value"))
    config = FitConfig(steps=200)
    report = fit_points(value, phis, utility_of(phis), 0.01, config=config, generator=generator(0, "fit"))
    assert report.quality is not None
    assert report.quality.points == 60
    assert report.quality.spearman > 0.9
    assert report.triplets > 0


def test_std_of_points_weighs_them() -> None:
    phis = torch.randn(40, 4, generator=generator(0, "points"))
    utilities = torch.rand(40, generator=generator(1, "points"))
    std = torch.where(torch.arange(40) < 20, 0.01, 1.0)
    value = ValueFunction(4, norm="none", generator=generator(0, "value"))
    config = FitConfig(steps=150, holdout=0.0, ordinal=False)
    fit_points(value, phis, utilities, std, config=config, generator=generator(0, "fit"))
    error = (value(phis)[0].detach() - utilities).abs()
    assert float(error[:20].mean()) < 0.5 * float(error[20:].mean())


def test_what_does_not_belong_together_is_refused(runs_of: Runs) -> None:
    runs = runs_of(runs=4, steps=6, observed=3)
    curve = interpolate(runs)
    with pytest.raises(FingerprintMismatch, match="for phi other, the trajectories are of phi test"):
        fit(ValueFunction(8, fingerprint="other", generator=generator(0)), runs, curve, generator=generator(0))
    with pytest.raises(ConfigError, match="takes phi of length 5"):
        fit(ValueFunction(5, generator=generator(0)), runs, curve, generator=generator(0))
    value = ValueFunction(8, fingerprint="test", generator=generator(0))
    with pytest.raises(ConfigError, match="interpolate these trajectories"):
        fit(value, runs.select([0]), curve, generator=generator(0))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("gamma", 0.0),
        ("lr", -1.0),
        ("steps", 0),
        ("batch", 1),
        ("check_every", 0),
        ("patience", 0),
        ("holdout", 1.0),
        ("holdout", -0.1),
        ("weight_decay", -1.0),
        ("hardness", "soft"),
        ("std_floor", 0.0),
    ],
)
def test_configuration_is_checked(field: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        FitConfig(**{field: wrong})


def test_quality_equals_scipy() -> None:
    stream = generator(0)
    a = torch.randint(0, 6, (40,), generator=stream).double()
    b = a + torch.randint(0, 6, (40,), generator=stream)
    got = quality(a, b)
    assert got.spearman == pytest.approx(float(spearmanr(a, b).statistic), abs=1e-12)
    assert got.pearson == pytest.approx(float(pearsonr(a, b).statistic), abs=1e-12)
    assert got.mae == pytest.approx(float((a - b).abs().mean()))
    assert quality(b, b).mae == 0.0


def test_quality_of_too_little_is_nan() -> None:
    two = quality(torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.3]))
    assert math.isnan(two.spearman)
    assert two.mae == pytest.approx(0.05)
    flat = quality(torch.zeros(5), torch.arange(5.0))
    assert math.isnan(flat.pearson)
    assert math.isnan(quality(torch.zeros(0), torch.zeros(0)).mae)
