"""The search for losses: what it finds where the answer is known, and that it is the same however it is run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from evolution_case import class_task, linear_task, mean_squared_error
from metricopt._errors import CheckpointError, ConfigError, MetricError
from metricopt.evolution import (
    PRESETS,
    BaseTask,
    Candidate,
    EvolutionSettings,
    FormulaLosses,
    SearchState,
    finals,
    generations,
    gp_lfl,
    parse,
    random_formulas,
    taylor_glo,
)
from metricopt.evolution.candidate import tried
from metricopt.evolution.canonical import same_slopes
from metricopt.losses import cross_entropy
from metricopt.metrics import Metric, get_metric
from metricopt.runtime import ProcessExecutor

FEW = replace(
    PRESETS["smoke"], population=10, generations=4, local_steps=4, train_steps=30, known_losses=False, same_scale=False
)


def run(task, settings=FEW, seed=0, plain=cross_entropy, **more):
    return list(generations(task, settings, seed=seed, plain=plain, **more))


def test_squared_error_is_found_again_on_a_line_without_noise():
    settings = replace(gp_lfl(FEW), population=40, generations=12, train_steps=100, rejection_steps=20)
    state = run(linear_task(rate=0.1), settings, plain=mean_squared_error)[-1]
    best = state.hall[0]
    assert best.error <= state.baseline * (1 + 1e-6) < 1e-12
    assert same_slopes(best.tree, parse("square(y - f(x))"))


def test_the_slope_of_cross_entropy_is_recovered_from_a_pool_that_holds_it():
    task = class_task(rate=0.1)
    pool = [parse(t) for t in ("y * log(f(x)) * -1", "abs(f(x) - y)", "square(f(x) + y)", "-1 * square(y - f(x))")]
    settings = replace(FEW, local_steps=0, train_steps=100)
    best = min(tried(task, [str(one) for one in pool], settings, 0), key=error_of)
    assert str(best.tree) == "y * log(f(x)) * -1"
    assert best.error == pytest.approx(run(task, replace(settings, generations=0))[0].baseline, abs=0.02)


def test_the_archive_changes_the_cost_and_nothing_else():
    task = class_task()
    with_it, without = (run(task, replace(FEW, archive=kept, same_slopes=False))[-1] for kept in (True, False))
    assert [(str(one.tree), one.error) for one in with_it.population] == [
        (str(one.tree), one.error) for one in without.population
    ]
    assert with_it.calls < without.calls


def test_a_run_that_was_stopped_goes_on_to_the_same_result():
    task = class_task(metric="f1", classes=2)
    whole = run(task)
    for stop in (0, 2):
        kept = SearchState.from_plain(json.loads(json.dumps(whole[stop].to_plain())))
        assert run(task, state=kept)[-1].to_plain() == whole[-1].to_plain()


@pytest.mark.full  # a whole job with workers is tested in tests/job/test_evolve.py
def test_workers_change_nothing():
    task = class_task()
    settings = replace(FEW, generations=1, side_by_side=3)
    here = run(task, settings)[-1]
    with ProcessExecutor(2) as executor:
        there = run(task, settings, executor=executor)[-1]
    assert there.to_plain() == here.to_plain()


def test_candidates_that_fail_are_counted_and_never_fatal():
    task = class_task(rate=50.0)  # nearly everything explodes
    state = run(task, replace(FEW, rejection_steps=0, archive=False, same_slopes=False))[-1]
    assert sum(state.fates.values()) >= 10 + 4 * 9 and state.fates["constant"] > 0
    picky = Metric(_picky, name="picky", higher_is_better=True, reads="labels")
    state = run(BaseTask(**{**class_task().__dict__, "metric": picky}))[-1]
    assert state.fates["trained"] > 0 and all(one.error == math.inf or one.error <= 0 for one in state.population)


def _picky(labels, targets):
    right = float((labels == targets).float().mean())
    if right < 0.5:
        raise ValueError("I do not rate such labels")
    return right


def test_a_metric_that_cannot_rate_the_plain_loss_raises():
    def broken(labels, targets):
        raise RuntimeError("no")

    task = BaseTask(
        **{**class_task().__dict__, "metric": Metric(broken, name="broken", higher_is_better=True, reads="labels")}
    )
    with pytest.raises(MetricError, match="broken"):
        run(task)
    model = Metric(broken, name="whole", higher_is_better=True, reads="model")
    with pytest.raises(ConfigError, match="reads the whole model"):
        BaseTask(**{**class_task().__dict__, "metric": model})


def test_the_winner_is_chosen_by_longer_trainings_with_other_seeds():
    task = class_task()
    state = run(task)[-1]
    found = finals(task, FEW, state, seed=0, plain=cross_entropy)
    assert found[-1].candidate is None and len(found) == 1 + min(FEW.finalists, len(state.front))
    others = found[1:-1]
    assert [one.error for one in others] == sorted(one.error for one in others)
    sizes = [one.candidate.tree.size for one in found[:-1] if one.error <= found[0].error]
    assert found[0].candidate.tree.size == min(sizes)  # nothing smaller is better
    with pytest.raises(ConfigError, match="none of the .* formulas could train"):
        finals(task, FEW, replace(state, front=()), seed=0, plain=cross_entropy)


def test_a_search_that_begins_with_known_losses_is_never_behind_them():
    task = class_task()
    state = run(task, replace(FEW, known_losses=True, generations=0))[-1]
    trees = {str(one.tree) for one in state.population}
    assert {"abs(y - f(x))", "square(y - f(x))"} <= trees
    alike = run(task, replace(FEW, known_losses=True, same_scale=True))[-1]
    assert alike.hall[0].error <= alike.baseline + 0.1
    assert any(one.scale != 1 for one in alike.hall)


def test_candidates_scaled_alike_have_slopes_of_one_size():
    from metricopt.evolution.learners import scales_like

    task = class_task()
    formulas = [parse("0.001 * square(y - f(x))"), parse("50 * square(y - f(x))"), parse("-1 * (y * log(f(x)))")]
    scales = scales_like(cross_entropy, FormulaLosses(formulas, task.outputs), task, seed=0)
    assert scales[2] == pytest.approx(1.0, rel=1e-4)
    assert scales[0] == 100 and scales[1] * 50 == pytest.approx(scales[0] * 0.001 * scales[1] * 50 / 0.1, rel=1e-3)
    candidate = tried(task, [str(formulas[1])], replace(FEW, same_scale=True, local_steps=0), 0)[0]
    assert str(candidate.formula).startswith(f"{candidate.scale!r} * ")


def test_the_front_gets_better_with_size_and_the_best_never_worse():
    states = run(class_task(), replace(FEW, population=15, generations=6))
    front = states[-1].front
    assert [one.tree.size for one in front] == sorted({one.tree.size for one in front})
    assert [one.error for one in front] == sorted((one.error for one in front), reverse=True)
    best = [generation.best for generation in states[-1].history]
    assert best == sorted(best, reverse=True)
    elite = [min(one.error for one in state.population) for state in states]
    assert elite == sorted(elite, reverse=True)  # elitism that works


def test_random_search_and_taylor_polynomials_run_in_the_same_harness():
    task = class_task()
    state = run(task, random_formulas(FEW))[-1]
    assert len(state.history) == FEW.generations + 1
    found = taylor_glo(task, replace(FEW, population=6, generations=2), seed=0)
    assert math.isfinite(found.error) and {"f"} <= found.tree.names


def test_what_is_evolved_for_a_metric_looks_at_it_alone():
    """Where positives are few and hard to tell, F1 asks for a loss that favours them; the error rate for another."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(600, 2, generator=source)
    y = (x[:, 0] + 1.2 * torch.randn(600, generator=source) > 1.5).long()
    rows = {"net": torch.nn.Linear(2, 1), "x": x[:300], "y": y[:300], "val_x": x[300:], "val_y": y[300:]}
    pool = [parse("square(y - f(x))"), parse("square(y - f(x)) * (y * 4 + 1)")]
    best = {}
    for name in ("f1", "mcr"):
        task = BaseTask(**{**class_task(classes=2).__dict__, **rows, "metric": get_metric(name), "rate": 0.5})
        best[name] = min(
            tried(task, [str(one) for one in pool], replace(FEW, local_steps=0, train_steps=200), 0), key=error_of
        )
    assert best["f1"].tree == pool[1] and best["mcr"].tree == pool[0]


def error_of(candidate):
    return candidate.error


def test_a_damaged_state_is_refused():
    sound = run(class_task(), replace(FEW, generations=0))[-1].to_plain()
    for change in (
        {"hall": [["y", [], 1.0]]},
        {"population": 3},
        {"history": [[1]]},
        {"archive": {"y": ["z", [], 0]}},
    ):
        with pytest.raises(CheckpointError, match="cannot be read"):
            SearchState.from_plain(sound | change)
    with pytest.raises(CheckpointError, match="weights"):
        Candidate.from_plain(["square(y - f(x))", [1.0], 0.5, 1.0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"population": 0}, "population must be"),
        ({"crossover": 0.9, "mutation": 0.2}, "at most 1 together"),
        ({"parsimony": 3.0}, "between 1 and 2"),
        ({"first_heights": (4, 2)}, "two heights"),
        ({"most_height": 3}, "two heights"),
        ({"strategy": "luck"}, "strategy must be one of"),
        ({"final_steps": 0}, "final_steps must be"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigError, match=told):
        EvolutionSettings(**change)
