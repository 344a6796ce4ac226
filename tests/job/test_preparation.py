"""What users hand over, in every shape and dtype: one preparation for every job, and advice where it cannot work."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from job_case import QUICK, Case, threshold_case
from metricopt import Budget, Metric, learn_value, optimize
from metricopt._errors import ConfigError
from metricopt.job.adaptation import FAMILIES, adapt
from metricopt.job.preparation import Settings, prepare
from metricopt.job.stages import plan, run_stages
from metricopt.methods import METHODS, MetricOpt
from metricopt.metrics import get_metric
from metricopt.problem import Problem
from metricopt.report import DETECTIONS, DIFFERENT, SAME, render
from tiny_problem import Ticks, tiny_problem


def wide(case: Case, outputs: int, labels: Tensor) -> Case:
    torch.manual_seed(0)
    half = len(labels) // 2
    x = torch.randn(len(labels), 4)
    return Case(model=nn.Linear(4, outputs), train=(x[:half], labels[:half]), val=(x[half:], labels[half:]))


# --- what is declared and what is asked -----------------------------------------------------------


def test_sixty_four_numbers_and_twenty_labels_are_asked_about(case: Case) -> None:
    asked = wide(case, 64, torch.arange(400) % 20)
    with pytest.raises(
        ConfigError, match=r'64 numbers, but only 20 .* say outputs="embeddings" or outputs="multiclass"'
    ):
        asked.optimized("accuracy", budget=62)
    assert asked.optimized("accuracy", budget=62, method="random_search", outputs="multiclass").calls <= 62


def test_embeddings_are_tuned_and_tested_without_duplicates(case: Case) -> None:
    points = wide(case, 6, torch.arange(200) % 5)
    sizes: list[int] = []

    def recall(embedded: Tensor, labels: Tensor) -> float:
        sizes.append(len(labels))
        distances = torch.cdist(embedded, embedded)
        distances.fill_diagonal_(torch.inf)
        assert bool((distances > 0).all())  # no point stands beside itself
        return float((labels[distances.argmin(dim=1)] == labels).double().mean())

    outcome = points.optimized(
        recall,
        higher_is_better=True,
        outputs="embeddings",
        loss="multi_similarity",
        method="random_search",
        budget=80,
    )
    assert outcome.calls <= 80
    assert min(sizes) == 20  # half of the acceptance part
    shown = outcome.report_data
    assert shown.confusion is None  # six numbers of an embedding are no scores of six classes
    assert shown.histogram is not None and list(shown.histogram.before) == [SAME, DIFFERENT]
    assert sum(map(sum, shown.histogram.after.values())) == 40 * 39 // 2
    assert "Similarities before and after" in render(shown)
    assert not any("shift" in fact for fact in outcome.report_data.facts["phi"].split())


def test_detections_are_tuned_and_shown() -> None:
    """A detector that doubts what it sees: records with boxes and scores, judged by a metric of whole records."""
    torch.manual_seed(0)
    x = torch.randn(200, 3)

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 1)
            with torch.no_grad():
                self.inner.weight.copy_(torch.tensor([[2.0, 0.0, 0.0]]))
                self.inner.bias.fill_(-2.0)

        def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
            sure = self.inner(images).sigmoid()
            return [{"boxes": torch.zeros(1, 4), "scores": one} for one in sure]

    def found(records: list[dict[str, Tensor]], truth: Tensor) -> float:
        sure = torch.cat([one["scores"] for one in records])
        return float(((sure > 0.5) == (truth > 0)).double().mean())

    def loss(records: list[dict[str, Tensor]], truth: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy(torch.cat([one["scores"] for one in records]), truth)

    truth = (x[:, 0] > 0).float()
    outcome = optimize(
        Detector(),
        metric=Metric(found, name="found", higher_is_better=True),
        train=(x[:100], truth[:100]),
        val=(x[100:], truth[100:]),
        outputs="boxes",
        loss=loss,
        method="random_search",
        budget=80,
        quiet=True,
    )
    shown = outcome.report_data.histogram
    assert shown is not None and sum(shown.before[DETECTIONS]) == 40
    assert "Detections before and after" in render(outcome.report_data)


def test_sequences_of_any_length_come_as_a_list(case: Case) -> None:
    """Each row as a sequence of itself, more or less often, whose mean the model takes."""

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(case.model)

        def forward(self, sequences: list[Tensor]) -> Any:
            return self.inner(torch.stack([one.mean(dim=0) for one in sequences]))

    def sequences(rows: Tensor) -> list[Tensor]:
        return [row.repeat(1 + i % 3, 1) for i, row in enumerate(rows)]

    (x, y), (other, labels) = case.train, case.val
    plain = case.optimized(method=MetricOpt(config=QUICK), budget=80)
    listed = optimize(
        Pooled(),
        metric="f1",
        train=(sequences(x), y),
        val=(sequences(other), labels),
        method=MetricOpt(config=QUICK),
        budget=80,
        quiet=True,
    )
    assert listed.accepted
    assert (listed.before, listed.after) == pytest.approx((plain.before, plain.after), abs=0.1)


def test_rows_of_a_group_are_never_divided(case: Case) -> None:
    groups = torch.arange(600) // 6
    made = prepare(
        case.model,
        metric=get_metric("f1"),
        train=case.train,
        val=case.val,
        acceptance=0.4,
        settings=Settings(groups=groups),
    )
    assert made.search is not None
    search, held = made.search.groups, made.holdout.groups  # type: ignore[union-attr]
    assert not set(search.tolist()) & set(held.tolist())
    assert torch.bincount(held).unique().tolist() == [0, 6]
    outcome = case.optimized(groups=groups, method="threshold")
    assert outcome.accepted
    with pytest.raises(ConfigError, match="groups must be one integer for each of the 600 rows of val"):
        case.optimized(groups=torch.zeros(5))


def test_a_metric_that_cannot_be_resampled_is_not_tested(case: Case) -> None:
    metric = replace(get_metric("f1"), resampling="none")
    with pytest.raises(ConfigError, match=r'resampling="none".*acceptance=None'):
        case.optimized(metric)
    assert case.optimized(metric, acceptance=None).interval is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.arange(400) % 3 + 1, r"labels of val run from 1 to 3, but scores are counted from 0: give targets - 1"),
        (torch.where(torch.arange(400) == 399, torch.nan, 1.0), r"targets of val hold NaN, the first one in row 199"),
    ],
)
def test_labels_that_cannot_be_meant_come_with_advice(case: Case, labels: Tensor, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wide(case, 3, labels).optimized("accuracy")


def test_minus_one_and_one_are_not_trained_on_silently(case: Case) -> None:
    flipped = Case(
        model=case.model, train=(case.train[0], 2 * case.train[1] - 1), val=(case.val[0], 2 * case.val[1] - 1)
    )

    def own(scores: Tensor, targets: Tensor) -> float:
        return float(((scores > 0) == (targets > 0)).double().mean())

    with pytest.raises(
        ConfigError, match=r"targets of train are -1 and 1, but classes are 0 and 1 here: give \(targets"
    ):
        flipped.optimized(own, higher_is_better=True)


def test_a_sigmoid_that_is_registered_last_but_not_used_is_no_end(case: Case) -> None:
    class Logits(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net, self.for_inference = net, nn.Sigmoid()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)  # type: ignore[no-any-return]

    assert Case(model=Logits(case.model), train=case.train, val=case.val).optimized().accepted
    ends = nn.Sequential(case.model, nn.Sigmoid())
    with pytest.raises(ConfigError, match="the model ends in Sigmoid"):
        Case(model=ends, train=case.train, val=case.val).optimized()


# --- one preparation ------------------------------------------------------------------------------


def doubled(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].double(), pair[1].double()


def test_double_precision_and_no_grad_work_alike_for_both_jobs(case: Case) -> None:
    single = learn_value(case.model, metric="f1", train=case.train, val=case.val, calls=80, config=QUICK)
    with torch.no_grad():
        double = learn_value(
            case.model, metric="f1", train=doubled(case.train), val=doubled(case.val), calls=80, config=QUICK
        )
    assert torch.equal(single.utilities, double.utilities)
    with torch.inference_mode():
        assert Case(model=case.model, train=doubled(case.train), val=doubled(case.val)).optimized().accepted


def test_acceptance_rows_are_known_again_in_another_precision(case: Case) -> None:
    learned = learn_value(
        case.model, metric="f1", train=case.train, val=case.val, calls=80, config=QUICK, acceptance=None
    )
    for val in (case.val, doubled(case.val)):
        with pytest.raises(ConfigError, match="learned on 100 % of the examples of the acceptance test"):
            Case(model=case.model, train=case.train, val=val).optimized(value=learned, method="auto")


def test_inputs_may_be_a_mapping_of_keywords(case: Case) -> None:
    class Named(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, values: Tensor, mask: Tensor) -> Tensor:
            return self.net(values * mask)  # type: ignore[no-any-return]

    def named(pair: tuple[Tensor, Tensor]) -> Any:
        return {"values": pair[0], "mask": torch.ones_like(pair[0])}, pair[1]

    plain = case.optimized()
    mapped = Case(model=Named(case.model), train=named(case.train), val=named(case.val)).optimized()
    assert mapped.before == pytest.approx(plain.before, abs=1e-6)
    assert mapped.accepted  # another name of the first layer draws another projection


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_change_nothing_but_the_time(case: Case, executor: str) -> None:
    plain = case.optimized()
    side_by_side = case.optimized(executor=executor, workers=2)
    assert side_by_side.calls == plain.calls
    assert torch.equal(side_by_side.phi, plain.phi)
    assert (side_by_side.before, side_by_side.after, side_by_side.interval) == (
        plain.before,
        plain.after,
        plain.interval,
    )


# --- stages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["metricopt_paper", "no_metric"])
def test_a_method_without_an_opinion_of_its_own_can_be_chosen(name: str) -> None:
    problem = tiny_problem(calls=None)
    (found,) = run_stages(problem, plan(name), calls=20, seconds=None, seed=0, begin=lambda stage: None)
    assert found.result.utility is not None
    assert found.result.calls <= 20
    again = Problem(problem.workload, metric=problem.metric, budget=Budget())
    assert float(again.observe(found.result.phi[None])[0]) == pytest.approx(found.result.utility)


def test_time_that_ends_before_the_noise_is_known_throws_no_gain_away() -> None:
    found = []
    for seconds in (40.0, 60.0, 80.0, 100.0):
        problem = tiny_problem(calls=60, seconds=seconds, clock=Ticks())
        result = METHODS["metricopt"].method.run(problem, seed=0)
        best = float(result.utilities.max()) - float(result.utilities[0])
        found.append((best, bool(result.phi.any())))
        assert all(torch.isfinite(torch.tensor(value)) for value in result.diagnostics.values())
    assert any(moved for best, moved in found if best > 0.1)


# --- default adapters -----------------------------------------------------------------------------


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1, bias=False)
        self.norm, self.last = nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.b(torch.relu(self.a(x))))).mean(dim=(2, 3)))  # type: ignore[no-any-return]


class Words(nn.Module):
    def __init__(self, *, hidden: bool = False) -> None:
        super().__init__()
        self.embed, self.rows, self.last = nn.Embedding(9, 6), nn.GRU(6, 6, batch_first=True), nn.Linear(6, 3)
        self.hidden = nn.Linear(6, 6) if hidden else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.hidden(self.rows(self.embed(x))[0][:, -1])))  # type: ignore[no-any-return]


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        self.body = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3, enable_nested_tensor=False
        )
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(self.embed(x)).mean(dim=1))  # type: ignore[no-any-return]


TOKENS = torch.arange(20).reshape(4, 5) % 9


@pytest.mark.parametrize(
    ("model", "probe", "slots"),
    [
        (Images, torch.randn(4, 1, 8, 8), ["film.projected"]),
        (Words, TOKENS, ["last.lora.b"]),
        (lambda: Words(hidden=True), TOKENS, ["hidden.input_bias.context"]),
        (Attends, TOKENS, ["conditional_norm.projected"]),
        (
            lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)),
            torch.randn(4, 5),
            ["0.input_bias.context"],
        ),
    ],
)
def test_each_family_gets_what_its_table_says(model: Any, probe: Tensor, slots: list[str]) -> None:
    adapted = adapt(model().eval(), "auto", dim=12, probe=probe)
    names = [slot.name for slot in adapted.spec.slots]
    assert names == [*slots, "output_shift.shift", "output_shift.log_temperature"]
    assert adapted.spec.dim == (12 if "lora" not in names[0] else 10)  # rank two for each of three classes
    assert len(FAMILIES) == 3


def test_only_the_last_stage_of_a_conv_net_is_adapted() -> None:
    adapted = adapt(Images().eval(), "auto", dim=12, probe=torch.randn(4, 1, 8, 8))
    assert adapted.splits
    assert {binding.site.name for binding in adapted._layout.bindings} == {"norm", ""}


def test_outputs_whose_scores_decide_no_label_get_no_shift() -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    adapted = adapt(net, "auto", dim=12, probe=torch.randn(4, 5), kind="embeddings")
    assert not adapted.spec.with_role("shift")


def test_tied_weights_are_left_alone() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.second(torch.relu(self.first(x)))))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    net = Tied().eval()
    adapted = adapt(copy.deepcopy(net), "auto", dim=8, probe=torch.randn(4, 4))
    merged = adapted.merged(0.1 * torch.ones(adapted.spec.dim))
    assert torch.equal(merged.first.weight, net.first.weight)
    assert merged.first.weight is merged.second.weight


def test_what_is_expected_is_less_than_what_was_measured(case: Case) -> None:
    outcome = case.optimized()
    assert outcome.accepted
    assert 0 < outcome.expected_gain <= outcome.after - outcome.before + 1e-9
    assert f"expect {outcome.expected_gain:+.4f}" in str(outcome)


def test_runs_judged_by_the_same_rows_are_told(case: Case, tmp_path: Any) -> None:
    first = case.optimized(run=tmp_path / "first")
    second = case.optimized(run=tmp_path / "second", seed=5)
    assert "judged" not in first.reason
    assert "The same acceptance rows judged an earlier run (first) in this folder" in second.reason
    again = case.optimized(run=tmp_path / "second", seed=5)
    assert again.reason == second.reason
    other = threshold_case()
    fresh = optimize(
        other.model,
        metric="f1",
        train=other.train,
        val=(other.val[0] + 1, other.val[1]),
        budget=150,
        run=tmp_path / "x",
    )
    assert "judged" not in fresh.reason


def test_the_metric_is_a_metric() -> None:
    assert (
        Metric(lambda scores, targets: 0.5, name="half", higher_is_better=True, resampling="sets").resampling == "sets"
    )
    with pytest.raises(ConfigError, match="resampling must be one of rows, sets, none"):
        Metric(lambda scores, targets: 0.5, name="half", higher_is_better=True, resampling="twice")  # type: ignore[arg-type]
