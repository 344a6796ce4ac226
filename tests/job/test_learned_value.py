"""Value functions that travel: learned on one model, saved, used and refined on models of other architectures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from job_case import QUICK, Case, threshold_case
from metricopt import LearnedValue, OutputShift, as_metric, learn_value, load, optimize
from metricopt._errors import CheckpointError, ConfigError, FingerprintMismatch


@pytest.fixture(scope="module")
def learned() -> LearnedValue:
    case = threshold_case()
    return learn_value(case.model, metric="f1", train=case.train, val=case.val, calls=60, config=QUICK)


def other_model(case: Case) -> nn.Module:
    """Another architecture with the same fault: its scores are far too high."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 1))
    stepper = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(150):
        stepper.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(case.train[0])[:, 0], case.train[1]).backward()
        stepper.step()
    with torch.no_grad():
        net[-1].bias += 9.0
    return net


def test_it_knows_where_the_metric_rises(learned: LearnedValue) -> None:
    assert learned.metric == "f1"
    assert len(learned) == 60
    expected = learned.function.mean(learned.psi)
    assert torch.corrcoef(torch.stack([expected, learned.utilities]))[0, 1] > 0.95


def test_a_model_of_another_architecture_needs_no_call_for_the_search(case: Case, learned: LearnedValue) -> None:
    options = {"metric": "f1", "train": case.train, "val": case.val, "budget": 42, "quiet": True}
    outcome = optimize(other_model(case), value=learned, **options)  # type: ignore[arg-type]  # all for the test
    assert outcome.history == ()
    assert outcome.calls == 42
    assert outcome.accepted
    assert outcome.after > outcome.before + 0.1
    assert "spreads from the nearest profile" in outcome.report_data.facts["Learned value function"]


def test_what_was_learned_from_shuffled_values_does_not_help(case: Case, learned: LearnedValue) -> None:
    order = torch.randperm(len(learned), generator=torch.Generator().manual_seed(0))
    wrong = learned.adapt(learned.psi[:0], learned.utilities[:0])
    object.__setattr__(wrong, "utilities", learned.utilities[order])
    options = {"metric": "f1", "train": case.train, "val": case.val, "budget": 2, "acceptance": None, "quiet": True}
    true, shuffled = (
        optimize(other_model(case), value=one, **options)  # type: ignore[arg-type]
        for one in (learned, wrong)
    )
    assert true.after > shuffled.after


def test_without_a_test_two_calls_say_what_came_of_it(case: Case, learned: LearnedValue) -> None:
    outcome = case.optimized(value=learned, method="auto", budget=2, acceptance=None)
    assert outcome.calls == 2
    assert outcome.history == ()
    assert outcome.after > outcome.before
    assert outcome.interval is None
    assert not torch.equal(outcome.phi, torch.zeros_like(outcome.phi))


def test_a_few_calls_refine_it(case: Case, learned: LearnedValue) -> None:
    outcome = case.optimized(value=learned, method="auto", budget=80)
    assert 0 < len(outcome.history) <= 38
    assert outcome.accepted
    assert outcome.value is not None


def test_a_folder_does_as_well(case: Case, learned: LearnedValue, tmp_path: Path) -> None:
    learned.save(tmp_path)
    back = LearnedValue.load(tmp_path)
    assert torch.equal(back.psi, learned.psi)
    assert torch.equal(back.utilities, learned.utilities)
    assert (back.columns, back.profile, back.diagnostics) == (learned.columns, learned.profile, learned.diagnostics)
    first, second = (case.optimized(value=one, method="auto", budget=42) for one in (learned, tmp_path))
    assert torch.equal(first.phi, second.phi)


def test_other_adapters_do_not_matter(case: Case, learned: LearnedValue) -> None:
    outcome = case.optimized(value=learned, method="auto", adapters=OutputShift(), budget=42)
    assert outcome.accepted


def test_adapt_follows_what_is_observed_and_leaves_the_old_one_alone(learned: LearnedValue) -> None:
    psi, utilities = learned.psi[:30], 1 - learned.utilities[:30]
    before = learned.function.mean(psi).clone()
    adapted = learned.adapt(psi, utilities)
    assert len(adapted) == len(learned) + 30
    assert torch.equal(before, learned.function.mean(psi))
    error = [(one.function.mean(psi) - utilities).abs().mean() for one in (learned, adapted)]
    assert error[1] < error[0]


def test_another_metric_direction_or_profile_is_refused(case: Case, learned: LearnedValue) -> None:
    with pytest.raises(ConfigError, match="learned for the metric 'f1', but 'mcc' is wanted"):
        case.optimized(metric="mcc", value=learned, method="auto", budget=60)
    turned = as_metric(lambda s, t: 0.5, name="f1", higher_is_better=False)
    with pytest.raises(ConfigError, match="higher values are better, this one is the other way round"):
        case.optimized(metric=turned, value=learned, method="auto", budget=60)
    three = nn.Linear(4, 3)
    labels = case.val[1].long() + (case.val[0][:, 1] > 0).long()
    classes = as_metric(lambda s, t: 0.5, name="f1", higher_is_better=True)
    with pytest.raises(FingerprintMismatch, match="reads another profile"):
        optimize(
            three, metric=classes, train=(case.val[0], labels), val=(case.val[0], labels), value=learned, budget=60
        )


def test_examples_that_it_was_learned_on_are_refused(case: Case) -> None:
    everything = learn_value(
        case.model, metric="f1", train=case.train, val=case.val, calls=12, config=QUICK, acceptance=None
    )
    with pytest.raises(ConfigError, match="learned on 100 % of the examples of the acceptance test"):
        case.optimized(value=everything, method="auto", budget=60)


def test_what_cannot_work_is_named(case: Case, learned: LearnedValue, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave method="):
        case.optimized(value=learned, method="threshold")
    with pytest.raises(ConfigError, match="adapt needs profiles"):
        learned.adapt(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(CheckpointError, match="there is no folder"):
        LearnedValue.load(tmp_path / "nothing")


def test_it_is_told_in_a_line(learned: LearnedValue) -> None:
    assert str(learned).startswith("value function for f1: ")
    assert "60 observations" in str(learned)
    assert "tensor" not in repr(learned)


def test_an_outcome_keeps_the_value_function_and_what_it_says(case: Case, tmp_path: Path) -> None:
    outcome = case.optimized(method="metricopt", budget=100)
    assert outcome.reading is not None and outcome.reading.parts
    assert "The metric rewards" in outcome.summary()
    loaded = load(outcome.save(tmp_path / "saved"))
    assert loaded.value is not None and loaded.reading == outcome.reading
    first, again = (one.learned_loss()(case.model(case.val[0]), case.val[1]) for one in (outcome, loaded))
    assert torch.equal(first, again)
    plain = case.optimized(method="threshold", budget=100)
    assert plain.reading is None
    with pytest.raises(ConfigError, match="no value function was learned"):
        plain.learned_loss()


def test_a_folder_that_is_not_there_is_said_to_be_missing(case: Case, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no folder .*; give one that LearnedValue.save wrote"):
        case.optimized(value=tmp_path / "nowhere", budget=72, method="auto")
    with pytest.raises(CheckpointError, match="there is no folder .*; give one that a run"):
        load(tmp_path / "nowhere")
    (tmp_path / "run" / "search").mkdir(parents=True)
    (tmp_path / "run" / "search" / "outcome.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is the run of a table: metricopt.load\('.*search'\) reads its outcome"):
        load(tmp_path / "run")
