"""MetricOpt: within every budget, repeatable, better than its rivals where phi is long, honest about controls."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from how_many import cases
from metricopt._errors import ConfigError, MetricError
from metricopt.adapters import Film, OutputShift, attach
from metricopt.losses import get_loss
from metricopt.methods import CmaEs, MetricOpt, MetricOptConfig, Result
from metricopt.methods.metric_opt.choose import chosen
from metricopt.metrics import Budget, Metric, from_function, get_metric
from metricopt.problem import Problem
from metricopt.profiles import UnlabelledProfile
from metricopt.search import Moves, Pool, ScoreView, climb_surrogates, mixtures
from metricopt.value import LearnedValue, ScoreValue
from metricopt.workload import TensorWorkload
from tiny_problem import Ticks, tiny_problem

QUICK = MetricOptConfig(surrogate_steps=6, climb_steps=5, moves=6, resamples=5, batch=48)


def quick(**changes: Any) -> MetricOpt:
    return MetricOpt(config=replace(QUICK, **changes))


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 30])
def test_it_ends_within_every_budget(calls: int) -> None:
    result = quick().run(tiny_problem(calls=calls), seed=0)
    assert result.calls == calls
    assert bool(result.phi.isfinite().all())


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_it_works_on_every_kind_and_its_seed_decides_everything(kind: Any) -> None:
    first, again = (quick().run(tiny_problem(calls=25, kind=kind), seed=3) for _ in range(2))
    assert torch.equal(first.phis, again.phis)
    assert torch.equal(first.phi, again.phi)
    assert first.diagnostics == again.diagnostics
    other = quick().run(tiny_problem(calls=25, kind=kind), seed=4)
    assert not torch.equal(first.phis, other.phis)
    assert isinstance(first.value, LearnedValue) and len(first.value) == 25


@pytest.mark.parametrize("seconds", [1.0, 8.0, 20.0, 60.0])
def test_a_budget_of_seconds_may_end_anywhere(seconds: float) -> None:
    result = quick().run(tiny_problem(calls=None, seconds=seconds, clock=Ticks()), seed=0)
    assert bool(result.phi.isfinite().all())


def test_without_a_limit_it_says_so() -> None:
    with pytest.raises(ConfigError, match="give calls or seconds"):
        quick().run(tiny_problem(calls=None), seed=0)


def test_what_others_observed_is_in_its_memory() -> None:
    problem = tiny_problem(calls=30)
    problem.observe(problem.phi_scale * torch.randn(6, problem.dim, generator=torch.Generator().manual_seed(0)))
    result = quick().run(problem, seed=0)
    assert isinstance(result.value, LearnedValue)
    assert len(result.value) == len(result.utilities) == 30


def test_where_a_pass_is_dear_fewer_points_are_looked_at_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, outputs = [0], Problem.outputs

    def counted(problem: Problem, phis: Tensor) -> Any:
        counts[-1] += len(phis)
        return outputs(problem, phis)

    monkeypatch.setattr(Problem, "outputs", counted)
    for numbers in (1 << 21, 1):  # 120 rows of two numbers are cheap, or dear
        monkeypatch.setattr("metricopt.search.score_view._MANY_NUMBERS", numbers)
        counts.append(0)
        result = quick(moves=24, batch=48).run(tiny_problem(calls=60), seed=0)
        assert result.calls == 60 and float(result.utilities.max()) > float(result.utilities[0])
    _, cheap, dear = counts
    # Twenty rounds of three calls: 24 moves or 4 are rated; climbs, points that are observed, and the end come to both.
    assert dear < cheap - 15 * 20


def test_calls_that_are_paid_for_survive_a_metric_that_fails() -> None:
    f1, asked = get_metric("f1"), 0

    def failing(outputs: Tensor, targets: Tensor) -> float:
        nonlocal asked
        asked += 1
        if asked > 15:
            raise RuntimeError("the server is gone")
        return f1(outputs, targets)

    problem = tiny_problem(calls=40, metric=from_function(failing, name="failing", higher_is_better=True))
    with pytest.raises(MetricError, match="server is gone"):
        quick().run(problem, seed=0)
    assert len(problem.memory) == 15


# --- a long phi ---------------------------------------------------------------------------------------------------


def worst_recall(scores: Tensor, targets: Tensor) -> float:
    right = scores.argmax(dim=1) == targets
    return min(float(right[targets == k].double().mean()) for k in range(6))


def long_problem(metric: Metric, calls: int, seed: int = 0) -> tuple[Problem, tuple[Tensor, Tensor]]:
    """Six classes, the later ones rare in training, balanced where the metric is asked; phi has over 500 numbers."""
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(6, 8, generator=source)

    def rows(counts: list[int]) -> tuple[Tensor, Tensor]:
        y = torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])
        return centres[y] + 1.1 * torch.randn(len(y), 8, generator=source), y

    train, val, test = rows([400, 200, 80, 40, 20, 10]), rows([60] * 6), rows([400] * 6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(8, 260), nn.BatchNorm1d(260), nn.ReLU(), nn.Linear(260, 6))
    stepper = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(60):
        index = torch.randint(len(train[1]), (128,), generator=source)
        stepper.zero_grad()
        nn.functional.cross_entropy(net(train[0][index]), train[1][index]).backward()
        stepper.step()
    adapted = attach(net.eval(), [Film(), OutputShift()], where={"film": "1"}, probe=train[0][:4])
    workload = TensorWorkload(adapted, loss=get_loss("cross_entropy"), train=train, val=val)
    return Problem(workload, metric=metric, budget=Budget(calls=calls)), test


@functools.cache
def long_run(method: MetricOpt | CmaEs, seed: int) -> tuple[float, Result]:
    """What 24 calls for the worst recall gain on test rows."""
    metric = from_function(worst_recall, name="worst recall", higher_is_better=True, reads="scores")
    problem, test = long_problem(metric, 24, seed)
    assert problem.dim > 500
    result = method.run(problem, budget=Budget(calls=24), seed=seed)
    both = problem.workload.predict(torch.stack([problem.start, result.phi]), of=test)
    return metric(both[1], test[1]) - metric(both[0], test[1]), result


def test_in_hundreds_of_dimensions_it_gets_far_where_cma_es_does_not() -> None:
    gains, theirs = ([long_run(method, seed)[0] for seed in cases(10)] for method in (MetricOpt(), CmaEs()))
    assert min(gains) > 0.1
    assert sum(gains) > sum(theirs) + 0.1


def test_a_value_function_of_shuffled_metrics_chooses_worse() -> None:
    true, theirs = long_run(MetricOpt(), 0)
    shuffled, others = long_run(MetricOpt(config=MetricOptConfig(learn="permuted")), 0)
    assert true > shuffled
    assert theirs.diagnostics["next_mae"] < others.diagnostics["next_mae"]


def test_forecasts_are_covered_as_often_as_they_say() -> None:
    covered = [quick().run(tiny_problem(calls=60), seed=seed).diagnostics["covered"] for seed in range(3)]
    assert 0.85 <= sum(covered) / 3 <= 1.0


# --- its parts ----------------------------------------------------------------------------------------------------


def view_of(problem: Problem, share: float = 0.5) -> ScoreView:
    profile = problem.workload.profile
    assert profile is not None
    return ScoreView(problem, profile, search_share=share, rows=64, seed=0)


def test_profiles_cost_no_metric_call_and_climbs_raise_what_they_climb() -> None:
    problem = tiny_problem(calls=5)
    view = view_of(problem)
    names = [column.name for column in view.profile.columns]
    weights = torch.zeros(1, len(names))
    weights[0, names.index("log-likelihood")] = 1.0
    start = float((view.profiles(torch.zeros(1, view.dim)) * weights).sum())
    end = climb_surrogates(view, [], weights, steps=30, rate=0.1)[-1]
    assert float((view.profiles(end) * weights).sum()) > start
    assert problem.meter.calls == 0


def test_batches_hold_rows_of_both_parts_with_the_classes_of_the_search_split() -> None:
    problem = tiny_problem(calls=5)
    for share in (0.0, 0.5, 1.0):
        batch = view_of(problem, share).batch()
        assert len(batch.features) == len(batch.targets) == 64 and batch.slices is None
    drawn = torch.cat([view_of(problem, 0.0).batch().targets.reshape(-1) for _ in range(20)])
    assert abs(float(drawn.mean()) - float(problem.workload.targets.mean())) < 0.1


def test_resampled_profiles_vary_as_other_rows_would() -> None:
    view = view_of(tiny_problem(calls=5))
    z = torch.cat([torch.zeros(1, view.dim), torch.randn(1, view.dim, generator=torch.Generator().manual_seed(0))])
    drawn = view.resampled(z, 40)
    assert drawn.shape == (40, 2, len(view.profile.columns))
    place = [column.name for column in view.profile.columns].index("accuracy")
    accuracy = float(view.profiles(z)[0, place])
    binomial = (accuracy * (1 - accuracy) / len(view.problem.workload.targets)) ** 0.5
    assert 0.4 * binomial < float(drawn[:, 0, place].std()) < 1.6 * binomial


def test_mixtures_begin_with_whole_figures() -> None:
    view = view_of(tiny_problem(calls=5))
    weights = mixtures(view, 20)
    assert torch.allclose(weights.sum(dim=1), torch.ones(20))
    assert int((weights == 1).any(dim=1).sum()) == 9  # seven means, two of ranking
    assert not bool((mixtures(view, 5, whole=False) == 1).any())


@pytest.mark.parametrize("name", ["shift", "local", "cross", "guided"])
def test_moves_start_from_the_best_and_go_about_as_far_as_the_radius(name: str) -> None:
    problem = tiny_problem(calls=10)
    view = view_of(problem)
    problem.observe(view.phi(torch.randn(8, view.dim, generator=view.generator)))
    view.sync()
    moves = Moves(view, torch.randn(3, view.dim, generator=view.generator), [name])
    pool = Pool()
    moves.propose(view.z[:2], 30, pool)
    assert pool.proposers == [name] * 30
    moved = torch.cdist(pool.z, view.z[:2]).amin(dim=1)
    assert 0 < float(moved.median()) < 6
    if name == "shift":
        slot = problem.spec.with_role("shift")[-1]
        fixed = torch.ones(view.dim, dtype=torch.bool)
        fixed[problem.spec.slice_of(slot.name)] = False
        assert float(torch.cdist(pool.z[:, fixed], view.z[:2][:, fixed]).amin(dim=1).max()) < 1e-6
    moves.after(True)
    assert moves.radius > 0.5


def test_the_margin_keeps_what_may_be_luck_near_the_start() -> None:
    problem = tiny_problem(calls=40)
    quick().run(problem, seed=0)
    view = view_of(problem)
    view.sync()
    value = ScoreValue(view.families, reads_phi=False).fit(view.psi, view.z, view.utilities)
    bold, _, _ = chosen(view, value, margin=0.0, resamples=8, training_trust=0.5)
    wary, _, error = chosen(view, value, margin=50.0, resamples=8, training_trust=0.5)
    assert float(wary.norm()) < float(bold.norm())
    assert not bool(wary.any()) and error == 0.0


def test_a_profile_without_labels_serves_where_they_are_kept_elsewhere() -> None:
    problem = tiny_problem(calls=30)
    truth = problem.workload.targets.clone()
    f1 = get_metric("f1")
    server = from_function(lambda outputs, _: f1(outputs, truth), name="server", higher_is_better=True)
    workload = TensorWorkload(
        problem.workload.adapted,
        loss=get_loss("cross_entropy"),
        train=problem.workload.train,
        val=(problem.workload.val.inputs, torch.zeros_like(truth)),
        outputs="binary",
        profile=UnlabelledProfile(),
    )
    result = quick().run(Problem(workload, metric=server, budget=Budget(calls=30)), seed=0)
    assert float(result.utilities.max()) > float(result.utilities[0])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"proposers": ()}, "one or more different names"),
        ({"proposers": ("climbs",)}, "must be one of"),
        ({"learn": "phi"}, "must be one of"),
        ({"margin": -1.0}, "at least 0"),
        ({"round": 0}, "at least 1"),
        ({"search_share": 1.5}, r"\[0, 1\]"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        MetricOptConfig(**changes)
