"""The one call: what comes back, what is left alone, what is counted."""

from __future__ import annotations

import copy
import html
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler

from job_case import Case
from metricopt import Budget, InputBias, OutputShift, load, optimize
from metricopt._errors import CheckpointError, ConfigError, DataError, MetricError
from metricopt.job import Began, Checked, Observed, StageBegan
from metricopt.methods import PhiMetricOpt, PhiValueConfig
from metricopt.metrics import from_function, from_model_function, get_metric


def test_an_accepted_result_is_a_plain_model_that_is_better_on_unseen_rows(case: Case) -> None:
    outcome = case.optimized()
    assert outcome.accepted
    assert outcome.interval is not None
    assert 0 < outcome.interval[0] < outcome.after - outcome.before < outcome.interval[1]
    assert outcome.model is not case.model
    assert [type(m) for m in outcome.model.modules()] == [type(m) for m in case.model.modules()]
    assert outcome.model.state_dict().keys() == case.model.state_dict().keys()
    assert not any(module._forward_hooks for module in outcome.model.modules())
    assert outcome._repr_html_() == f"<pre>{html.escape(outcome.summary())}</pre>"  # what a notebook shows
    f1 = get_metric("f1")
    assert f1(outcome.model(case.train[0]), case.train[1]) > f1(case.model(case.train[0]), case.train[1])


def test_the_given_model_is_left_as_it_was(case: Case) -> None:
    model = case.model.train()
    model[0].eval()
    model[2].bias.requires_grad_(False)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    before, flags = copy.deepcopy(model.state_dict()), [p.requires_grad for p in model.parameters()]
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    threads = torch.get_num_threads()
    outcome = case.optimized()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [m.training for m in model.modules()] == modes
    assert [m.training for m in outcome.model.modules()] == modes
    assert [p.requires_grad for p in outcome.model.parameters()] == flags
    assert torch.equal(torch.get_rng_state(), state)
    assert len(model._forward_hooks) == 1
    assert torch.get_num_threads() == threads


def test_the_same_seed_gives_the_same_result_and_another_seed_keeps_the_split(case: Case) -> None:
    first, second, other = (case.optimized(seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.phi, second.phi)
    assert (first.before, first.after, first.interval) == (second.before, second.after, second.interval)
    assert first.before == other.before
    assert not torch.equal(first.candidates[1].result.phis, other.candidates[1].result.phis)


def test_where_nothing_can_be_gained_the_very_model_comes_back(case: Case) -> None:
    outcome = case.optimized(metric=from_function(lambda s, t: 0.5, name="flat", higher_is_better=True))
    assert not outcome.accepted
    assert outcome.model is case.model
    assert outcome.before == outcome.after == 0.5
    assert "nothing better" in outcome.reason


def test_a_gain_that_could_be_chance_is_refused(case: Case) -> None:
    x, y = case.val
    outcome = optimize(
        case.model,
        metric="f1",
        train=case.train,
        val=(x[:40], y[:40]),
        budget=150,
        method="threshold",
        confidence=0.999,
    )
    assert not outcome.accepted
    assert outcome.model is case.model
    assert outcome.interval is not None
    assert outcome.interval[0] <= 0
    assert f"{outcome.after:.4f} (refused), gain" in str(outcome)


@pytest.mark.parametrize("budget", [62, 100, 333])
def test_no_more_calls_than_the_budget_and_all_of_them_are_counted(case: Case, budget: int) -> None:
    asked = [0]

    def f1(scores: Tensor, targets: Tensor) -> float:
        asked[0] += 1
        return get_metric("f1")(scores, targets)

    outcome = case.optimized(metric=f1, higher_is_better=True, budget=budget)
    assert outcome.calls == asked[0] <= budget


def test_a_budget_of_seconds_ends_the_search(case: Case) -> None:
    outcome = case.optimized(budget=Budget(seconds=1.0), method="random_search")
    assert outcome.calls > 100
    assert outcome.accepted


def test_lower_is_better_reads_the_right_way(case: Case) -> None:
    outcome = case.optimized(metric="mcr")
    assert outcome.accepted
    assert outcome.after < outcome.before
    assert outcome.interval is not None
    assert outcome.interval[0] > 0
    values = [event.value for event in outcome.history]
    assert [event.best for event in outcome.history] == list(np.minimum.accumulate(values))


class _Probabilities(nn.Module):
    """A softmax that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).softmax(dim=1)


def _sources(case: Case) -> dict[str, Any]:
    (x, y), dataset = case.val, TensorDataset(*case.val)
    return {
        "tensors": (x, y),
        "numpy": (x.double().numpy(), y.numpy()),
        "lists": [x.tolist(), y.tolist()],
        "dataset": dataset,
        "other dataset": Subset(dataset, range(len(dataset))),
        "loader": DataLoader(dataset, batch_size=7),
        "shuffling loader": DataLoader(dataset, batch_size=64, shuffle=True),
    }


@pytest.mark.parametrize(
    "source", ["tensors", "numpy", "lists", "dataset", "other dataset", "loader", "shuffling loader"]
)
def test_every_way_to_give_data_gives_the_same_result(case: Case, source: str) -> None:
    state = torch.get_rng_state()
    outcome = optimize(
        case.model, metric="f1", train=case.train, val=_sources(case)[source], budget=80, method="threshold"
    )
    expected = case.optimized(budget=80, method="threshold")
    assert (outcome.before, outcome.after) == (expected.before, expected.after)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sampler_of_its_own_is_kept(case: Case) -> None:
    dataset = TensorDataset(*case.train)
    only_positive = WeightedRandomSampler(case.train[1].tolist(), 50)
    outcome = optimize(
        case.model,
        metric="f1",
        train=DataLoader(dataset, batch_size=10, sampler=only_positive),
        val=case.val,
        budget=80,
        method="threshold",
    )
    assert "50 to follow the loss" in outcome.report_data.facts["Examples"]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ((torch.zeros(4, 4), torch.zeros(3)), "4 inputs and 3 targets"),
        (torch.zeros(4, 4), "must be a pair"),
        ((torch.zeros(0, 4), torch.zeros(0)), "0 inputs"),
        ((np.array([["a", "b"]]), np.zeros(1)), "hold <U1 values"),
        ([{"x": 1}], "must be a pair"),
        (DataLoader(TensorDataset(torch.zeros(4, 4))), "1 things: Tensor"),
        ("train.csv", "got a str"),
    ],
)
def test_data_that_cannot_work_is_named(case: Case, data: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        optimize(case.model, metric="f1", train=data, val=case.val)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"metric": lambda s, t: 0.5}, "higher_is_better"),
        ({"loss": "cross_entropi"}, "did you mean 'cross_entropy'"),
        ({"loss": 3}, "loss must be a name"),
        ({"method": "metricop"}, "did you mean 'metricopt'"),
        ({"method": []}, "at least one method"),
        ({"budget": 10}, "at least 62"),
        ({"budget": -1}, "budget"),
        ({"budget": True}, "budget must be"),
        ({"budget": 1.5}, "budget must be"),
        ({"acceptance": 1.5}, "acceptance"),
        ({"acceptance": 0.0}, "between 0 and 1"),
        ({"acceptance": "half"}, "acceptance must be"),
        ({"confidence": 95}, "confidence"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"adapters": "film"}, 'must be "auto"'),
        ({"adapters": 7}, 'must be "auto", an adapter or a list'),
        ({"dim": 0}, "dim"),
        ({"sampler": "uniform"}, "sampler"),
        ({"class_names": ["one"]}, "name the 2 classes"),
        ({"value": 3}, "learn_value"),
        ({"model": "net"}, "torch.nn.Module"),
        ({"model": nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))}, "ends in Softmax"),
        ({"model": nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())}, "ends in Sigmoid"),
        ({"model": _Probabilities()}, "without its last softmax"),
    ],
)
def test_an_argument_that_cannot_work_is_named(case: Case, options: dict[str, Any], complaint: str) -> None:
    settings = {"model": case.model, "metric": "f1", "train": case.train, "val": case.val, "budget": 80} | options
    asked: list[int] = []
    if settings["metric"] == "f1":
        settings["metric"] = from_function(lambda s, t: asked.append(1) or 0.5, name="f1", higher_is_better=True)
    with pytest.raises(ConfigError, match=complaint) as caught:
        optimize(**settings)
    assert not asked  # a call may cost money
    assert "\n" not in str(caught.value)


def test_a_metric_that_raises_is_quoted_and_the_model_is_as_it_was(case: Case) -> None:
    def broken(scores: Tensor, targets: Tensor) -> float:
        raise ZeroDivisionError("no positives")

    before = copy.deepcopy(case.model.state_dict())
    with pytest.raises(MetricError, match="ZeroDivisionError: no positives"):
        case.optimized(metric=broken, higher_is_better=True)
    assert all(torch.equal(before[name], value) for name, value in case.model.state_dict().items())
    assert not any(module._forward_hooks for module in case.model.modules())


def test_watchers_hear_everything_in_order(case: Case) -> None:
    heard: list[Any] = []
    outcome = case.optimized(watch=heard.append)
    kinds = [type(event) for event in heard]
    assert kinds[0] is Began
    assert kinds[-1] is Checked
    assert kinds.count(StageBegan) == 2
    assert [event for event in heard if isinstance(event, Observed)] == list(outcome.history)
    assert [event.call for event in outcome.history] == list(range(1, len(outcome.history) + 1))
    assert heard[0].total_calls == 150
    assert heard[-1].after == outcome.after
    assert len(outcome.history) == sum(len(one.result.utilities) for one in outcome.candidates)


def test_a_watcher_that_raises_stops_the_run(case: Case) -> None:
    def stop(event: Any) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        case.optimized(watch=[stop])


def test_the_report_says_what_each_run_is(case: Case) -> None:
    config = PhiValueConfig(fit_steps=30, members=2, steps=15, rounds=2, resamples=4)
    outcome = case.optimized(method=PhiMetricOpt(config=config), budget=200)
    names = [run.label for run in outcome.report_data.runs]
    assert names[0] == "loss run from the trained model"
    assert len(set(names)) == len(names) > 1
    assert all(re.fullmatch(r"guided run \d+|loss run \d+ from a random start", name) for name in names[1:])
    trace = outcome.candidates[0].result.trace
    assert trace is not None
    guided = [int(name.split()[-1]) for name in names if name.startswith("guided")]
    assert guided
    assert max(guided) == trace.trajectories.runs - trace.loss_runs


def test_several_classes_and_their_names(case: Case) -> None:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(900, 4, generator=source)
    y = x[:, :3].argmax(dim=1)
    net = nn.Linear(4, 3)
    net.load_state_dict({"weight": torch.eye(3, 4), "bias": torch.tensor([1.5, 0.0, -1.0])})
    outcome = optimize(
        net,
        metric="accuracy",
        train=(x[:300], y[:300]),
        val=(x[300:], y[300:]),
        budget=200,
        method="threshold",
        class_names=["a", "<b>", "c"],
    )
    assert outcome.accepted
    assert outcome.report_data.confusion is not None
    assert outcome.report_data.confusion.labels == ("a", "<b>", "c")
    assert sum(map(sum, outcome.report_data.confusion.before)) == 240


def test_regression_with_a_loss_and_a_metric_of_its_own(case: Case) -> None:
    x = case.val[0]
    y = 2 * x[:, :1] + 1
    net = nn.Linear(4, 1)
    net.load_state_dict({"weight": torch.tensor([[2.0, 0, 0, 0]]), "bias": torch.zeros(1)})
    outcome = optimize(
        net,
        metric=lambda s, t: (s.reshape(-1) - t.reshape(-1)).abs().mean().clamp(max=10),
        higher_is_better=False,
        bounds=(0.0, 10.0),
        loss=lambda s, t: (s - t).square().mean(),
        train=(x[:200], y[:200]),
        val=(x[200:], y[200:]),
        budget=400,
    )
    assert [one.name for one in outcome.candidates] == ["metricopt"]  # there is no label to shift
    assert outcome.accepted
    assert outcome.after < 0.7 * outcome.before


def test_images(case: Case) -> None:
    source = torch.Generator().manual_seed(2)
    x = torch.randn(400, 1, 6, 6, generator=source)
    y = (x.mean(dim=(1, 2, 3)) > 0.05).float()
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 1),
    )
    outcome = optimize(
        net, metric="accuracy", train=(x[:200], y[:200]), val=(x[200:], y[200:]), budget=80, method="threshold"
    )
    assert outcome.calls <= 80
    if outcome.accepted:
        assert [type(m) for m in outcome.model.modules()] == [type(m) for m in net.modules()]


def test_one_layer_gets_more_than_its_bias_twice(case: Case) -> None:
    outcome = optimize(nn.Linear(4, 1), metric="f1", train=case.train, val=case.val, budget=80, method="threshold")
    assert "lora" in outcome.report_data.facts["phi"]


def test_an_adapter_that_does_not_fold_still_gives_a_model_that_runs(case: Case) -> None:
    net = nn.Sequential(*case.model, nn.Hardtanh(-50.0, 50.0))
    outcome = optimize(
        net,
        metric="f1",
        train=case.train,
        val=case.val,
        adapters=[InputBias(dim=4), OutputShift()],
        budget=150,
        method="threshold",
    )
    assert outcome.accepted
    f1 = get_metric("f1")
    assert f1(outcome.model(case.train[0]), case.train[1]) > f1(net(case.train[0]), case.train[1])


def test_a_metric_of_the_whole_model_needs_another_one_for_the_test(case: Case) -> None:
    def rate(part: slice) -> Any:
        x, y = case.val[0][part], case.val[1][part]
        return from_model_function(lambda m: get_metric("f1")(m(x), y), name="model f1", higher_is_better=True)

    with pytest.raises(ConfigError, match="another such Metric"):
        case.optimized(metric=rate(slice(0, 300)))
    outcome = case.optimized(
        metric=rate(slice(0, 300)), acceptance=rate(slice(300, 600)), method="threshold", budget=60
    )
    assert outcome.accepted
    assert outcome.calls <= 60


def test_without_a_test_the_result_says_so(case: Case) -> None:
    outcome = case.optimized(acceptance=None, budget=30, method="threshold")
    assert outcome.interval is None
    assert "Not tested" in outcome.reason
    assert not outcome.report_data.verified
    assert outcome.accepted


def test_examples_of_its_own_for_the_test(case: Case) -> None:
    (x, y) = case.val
    outcome = optimize(
        case.model,
        metric="f1",
        train=case.train,
        val=(x[:300], y[:300]),
        acceptance=(x[300:].numpy(), y[300:].numpy()),
        budget=100,
        method="threshold",
    )
    assert outcome.before == pytest.approx(get_metric("f1")(case.model(x[300:]), y[300:]))


def test_a_saved_outcome_comes_back(case: Case, tmp_path: Any) -> None:
    outcome = case.optimized()
    outcome.save(tmp_path / "saved")
    back = load(tmp_path / "saved", case.model)
    for name in (
        "accepted",
        "reason",
        "before",
        "after",
        "interval",
        "calls",
        "seconds",
        "metric",
        "history",
        "report_data",
    ):
        assert getattr(back, name) == getattr(outcome, name), name
    assert torch.equal(back.phi, outcome.phi)
    assert torch.equal(back.model(case.val[0]), outcome.model(case.val[0]))
    assert back.value is not None
    assert outcome.value is not None
    assert torch.equal(back.value.utilities, outcome.value.utilities)
    assert "<html" in (tmp_path / "saved" / "report.html").read_text()
    without = load(tmp_path / "saved")
    assert without.after == outcome.after
    with pytest.raises(ConfigError, match="model="):
        without.model  # noqa: B018 - reading it is the test
    with pytest.raises(CheckpointError, match="does not fit"):
        load(tmp_path / "saved", nn.Linear(4, 1))
