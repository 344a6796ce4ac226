"""The acceptance test: how often it is fooled, what its interval covers, what it does with little data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metricopt._errors import ConfigError
from metricopt.job.acceptance import paired_test, planned_resamples, repeated_test
from metricopt.job.same_rows import shared
from metricopt.job.split import search_and_acceptance
from metricopt.metrics import Metric, from_model_function, get_metric
from metricopt.workload import Examples, few_classes, resample


def _twin_models(count: int, gain: float, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of two models with the same errors but for chance; the second is right `gain` more often."""
    targets = (torch.rand(count, generator=source) < 0.4).long()
    signs = 2.0 * targets - 1
    wrong = [torch.rand(count, generator=source) < share for share in (0.2, 0.2 - gain)]
    return signs * torch.where(wrong[0], -1.0, 1.0), signs * torch.where(wrong[1], -1.0, 1.0), targets


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_two_models_that_are_equally_good_are_told_apart_no_more_often_than_promised(metric: str) -> None:
    source = torch.Generator().manual_seed(0)
    accepted = 0
    for trial in range(300):
        before, after, targets = _twin_models(150, 0.0, source)
        verdict = paired_test(get_metric(metric), before, after, targets, resamples=40, confidence=0.95, seed=trial)
        accepted += verdict.accepted
    # One side of a 95 % interval: 2.5 %. Binomial(300, 0.025) exceeds 16 once in a thousand.
    assert accepted <= 16


def test_a_real_gain_is_found_and_the_interval_covers_it() -> None:
    source = torch.Generator().manual_seed(1)
    verdicts = [
        paired_test(get_metric("accuracy"), *_twin_models(400, 0.1, source), resamples=60, confidence=0.95, seed=trial)
        for trial in range(200)
    ]
    assert sum(verdict.accepted for verdict in verdicts) > 180
    covered = sum(verdict.low <= 0.1 <= verdict.high for verdict in verdicts)
    assert covered >= 180  # 95 % of 200 is 190; Binomial(200, 0.95) falls below 180 once in a thousand


def test_the_same_scores_are_never_a_gain_and_cost_two_calls() -> None:
    before, _, targets = _twin_models(50, 0.0, torch.Generator().manual_seed(2))
    verdict = paired_test(get_metric("f1"), before, before.clone(), targets, resamples=40, confidence=0.95, seed=0)
    assert (verdict.accepted, verdict.low, verdict.high, verdict.calls) == (False, 0.0, 0.0, 2)


def test_a_gain_without_any_spread_is_not_believed() -> None:
    """A metric that says the same of every resample leaves no way to see how much of the gain is chance."""
    flat = Metric(lambda scores, targets: float(scores[0] > 0), name="flat", higher_is_better=True)
    targets = torch.zeros(30)
    verdict = paired_test(flat, -torch.ones(30), torch.ones(30), targets, resamples=40, confidence=0.95, seed=0)
    assert verdict.after > verdict.before
    assert not verdict.accepted
    assert verdict.reason.startswith("Every resample of the holdout examples gave the very same gain")


def test_the_interval_is_positive_for_better_whatever_the_direction() -> None:
    before, after, targets = _twin_models(2000, 0.15, torch.Generator().manual_seed(3))
    up, down = (
        paired_test(get_metric(name), before, after, targets, resamples=50, confidence=0.95, seed=0)
        for name in ("accuracy", "mcr")
    )
    assert up.accepted and down.accepted
    assert up.low == pytest.approx(down.low)
    assert up.after > up.before and down.after < down.before


def test_resamples_keep_a_rare_class() -> None:
    targets = torch.zeros(40)
    targets[7] = 1
    source = torch.Generator().manual_seed(4)
    assert all(bool(targets[resample(targets, "rows", generator=source)].any()) for _ in range(100))


@pytest.mark.parametrize(("calls", "pairs"), [(None, 200), (62, 20), (200, 20), (1000, 100), (10_000, 200)])
def test_how_many_pairs_a_budget_pays_for(calls: int | None, pairs: int) -> None:
    assert planned_resamples(calls) == pairs


def test_a_noisy_metric_of_the_model_must_gain_more_than_its_noise() -> None:
    before, after = iter([0.5, 0.6, 0.4, 0.5, 0.55]), iter([0.52, 0.58, 0.46, 0.47, 0.57])
    metric = from_model_function(lambda model: 0.5, name="m", higher_is_better=True)
    assert not repeated_test(lambda: next(before), lambda: next(after), metric, confidence=0.95).accepted
    steady = repeated_test(lambda: 0.5, lambda: 0.6, metric, confidence=0.95)
    assert steady.accepted
    assert steady.calls == 10
    assert "not of other examples" in steady.reason
    assert not repeated_test(lambda: 0.5, lambda: 0.5 + 1e-12, metric, confidence=0.95).accepted


def test_a_metric_that_drifts_from_call_to_call_favours_neither_model() -> None:
    rising = iter(range(10_000))
    drift = Metric(lambda scores, targets: 0.3 + 1e-3 * next(rising), name="drift", higher_is_better=True)
    before, after, targets = _twin_models(100, 0.0, torch.Generator().manual_seed(5))
    assert not paired_test(drift, before, after, targets, resamples=100, confidence=0.95, seed=0).accepted
    rising = iter(range(10_000))
    model = from_model_function(lambda model: 0.3, name="m", higher_is_better=True)
    assert not repeated_test(
        lambda: 0.3 + 1e-3 * next(rising), lambda: 0.3 + 1e-3 * next(rising), model, confidence=0.95
    ).accepted


def test_where_time_is_up_the_fewest_pairs_are_made() -> None:
    before, after, targets = _twin_models(100, 0.1, torch.Generator().manual_seed(6))
    verdict = paired_test(
        get_metric("accuracy"), before, after, targets, resamples=200, confidence=0.95, seed=0, more=lambda: False
    )
    assert verdict.calls == 42


def test_equal_examples_stay_on_one_side() -> None:
    inputs = torch.arange(100.0)[:, None].repeat(3, 1)
    seen, holdout = search_and_acceptance(Examples(inputs=inputs, targets=inputs[:, 0] % 2), share=0.4)
    assert shared(holdout.hashes, seen.hashes) == 0.0
    assert len(seen) + len(holdout) == 300
    with pytest.raises(ConfigError, match="too few different examples"):
        search_and_acceptance(Examples(inputs=torch.zeros(300, 2), targets=torch.zeros(300)), share=0.4)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5])
def test_the_split_keeps_the_classes_and_loses_nobody(share: float) -> None:
    targets = torch.arange(500) % 5
    whole = Examples(inputs=torch.arange(500.0)[:, None], targets=targets)
    seen, holdout = search_and_acceptance(whole, share=share)
    assert torch.equal(torch.cat([seen.inputs, holdout.inputs]).sort(dim=0).values, whole.inputs)
    assert torch.bincount(holdout.targets.long()).tolist() == [round(100 * share)] * 5


def test_real_numbers_and_instances_are_no_classes() -> None:
    assert few_classes(torch.rand(50)) is None
    assert few_classes(torch.arange(50)) is None
    assert few_classes(torch.zeros(50, 3)) is None
    assert few_classes(torch.arange(60) % 3) is not None
