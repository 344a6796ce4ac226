"""Value functions that travel: learned on one model, saved, used and refined on the next."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from job_case import QUICK, Case
from metricopt import LearnedValue, OutputShift, learn_value, load
from metricopt._errors import CheckpointError, ConfigError, FingerprintMismatch


@pytest.fixture(scope="module")
def learned() -> LearnedValue:
    from job_case import threshold_case

    case = threshold_case()
    return learn_value(case.model, metric="f1", train=case.train, val=case.val, calls=160, config=QUICK)


def test_it_knows_where_the_metric_rises(case: Case, learned: LearnedValue) -> None:
    assert learned.metric == "f1"
    assert 80 < len(learned) <= 160
    estimates = learned.function(learned.phis)[0].detach()
    assert torch.corrcoef(torch.stack([estimates.double(), learned.utilities.double()]))[0, 1] > 0.5


def test_the_next_model_needs_no_call_for_the_search(case: Case, learned: LearnedValue) -> None:
    outcome = case.optimized(value=learned, method="auto", budget=42)  # all of them for the acceptance test
    assert outcome.history == ()
    assert outcome.calls == 42
    assert outcome.accepted
    assert outcome.after > outcome.before


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
    assert torch.equal(back.phis, learned.phis)
    assert torch.equal(back.utilities, learned.utilities.double())
    assert back.diagnostics == learned.diagnostics
    first, second = (case.optimized(value=one, method="auto", budget=42) for one in (learned, tmp_path))
    assert torch.equal(first.phi, second.phi)


def test_adapt_follows_what_is_observed_and_leaves_the_old_one_alone(learned: LearnedValue) -> None:
    before = {name: value.clone() for name, value in learned.function.state_dict().items()}
    phis = learned.phis[:40]
    utilities = 1 - learned.utilities[:40]
    adapted = learned.adapt(phis, utilities)
    assert len(adapted) == len(learned) + 40
    assert all(torch.equal(before[name], value) for name, value in learned.function.state_dict().items())
    with torch.no_grad():
        error = [(one.function(phis)[0].double() - utilities).abs().mean() for one in (learned, adapted)]
    assert error[1] < error[0]


def test_another_phi_is_refused(case: Case, learned: LearnedValue) -> None:
    with pytest.raises(FingerprintMismatch, match="Attach the same adapters"):
        case.optimized(value=learned, method="auto", adapters=OutputShift(), budget=60)


def test_another_metric_and_examples_that_it_was_learned_on_are_refused(case: Case, learned: LearnedValue) -> None:
    with pytest.raises(ConfigError, match="learned for the metric 'f1', but 'mcc' is wanted"):
        case.optimized(metric="mcc", value=learned, method="auto", budget=60)
    everything = learn_value(
        case.model, metric="f1", train=case.train, val=case.val, calls=80, config=QUICK, acceptance=None
    )
    with pytest.raises(ConfigError, match="learned on 100 % of the examples of the acceptance test"):
        case.optimized(value=everything, method="auto", budget=60)


def test_what_cannot_work_is_named(case: Case, learned: LearnedValue, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave method="):
        case.optimized(value=learned, method="threshold")
    with pytest.raises(ConfigError, match="adapt needs phis"):
        learned.adapt(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(CheckpointError, match="there is no folder"):
        LearnedValue.load(tmp_path / "nothing")


def test_what_was_rated_refits_the_value_function(case: Case, learned: LearnedValue, tmp_path: Path) -> None:
    outcome = case.optimized(value=learned, budget=72, method="auto")
    phis, utilities = outcome.observations
    assert phis.shape == (len(utilities), learned.function.dim)
    assert len(utilities) == len(outcome.history)
    refitted = learned.adapt(phis, utilities)
    assert len(refitted) == len(learned) + len(utilities)
    assert re.fullmatch(
        r"value function for f1: \d+ numbers of phi, \d+ observations(, rank correlation .*)?", str(learned)
    )
    assert "tensor" not in repr(learned)
    phis, utilities = load(outcome.save(tmp_path / "saved")).observations
    assert (phis.shape, utilities.shape) == ((0, learned.function.dim), (0,))


def test_a_folder_that_is_not_there_is_said_to_be_missing(case: Case, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no folder .*; give one that LearnedValue.save wrote"):
        case.optimized(value=tmp_path / "nowhere", budget=72, method="auto")
    with pytest.raises(CheckpointError, match="there is no folder .*; give one that a run"):
        load(tmp_path / "nowhere")
    (tmp_path / "run" / "search").mkdir(parents=True)
    (tmp_path / "run" / "search" / "outcome.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is the run of a table: metricopt.load\('.*search'\) reads its outcome"):
        load(tmp_path / "run")
