"""Several metrics at once: a front whose models gain by something, within the budget, the same when it is resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import metricopt
from metricopt._errors import ConfigError, OtherRun
from metricopt._random import generator
from metricopt.job import Front
from metricopt.job.front_search import Aim, aims, spread_front
from metricopt.metrics import Metric, get_metric
from metricopt.report import render_front

Rows = tuple[torch.Tensor, torch.Tensor]


def _case(rows: int = 2600, seed: int = 0) -> tuple[nn.Module, Rows, Rows, Rows]:
    source = generator("front", seed)
    x = torch.randn(rows, 3, generator=source)
    y = (x[:, 0] + 0.7 * torch.randn(rows, generator=source) > 0.8).float()
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[2.0, 0.0, 0.0]]))
        net.bias.fill_(-1.6)
    return net, (x[:400], y[:400]), (x[400:1600], y[400:1600]), (x[1600:], y[1600:])


def _front(metrics: list[object] | None = None, **options: object) -> Front:
    net, train, val, _ = _case()
    settings = {"points": 3, "budget": 370, "quiet": True, **options}
    return metricopt.optimize_front(net, metrics=metrics or ["precision", "recall"], train=train, val=val, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole() -> Front:
    return _front()


def test_a_front_holds_models_that_trade_one_metric_for_the_other(whole: Front, tmp_path: Path) -> None:
    front = whole
    _, _, _, (x, y) = _case()
    assert front.calls <= 370 and 2 <= len(front.models) <= 3
    values = [[one.value for one in each.ratings] for each in front.models]
    assert values == sorted(values)  # worst precision first
    assert all(each.gains for each in front.models)
    fresh = [
        [get_metric(name)(each.model(x)[:, 0].detach(), y) for name in ("precision", "recall")] for each in front.models
    ]
    assert fresh[0][1] > fresh[-1][1] + 0.2 and fresh[-1][0] > fresh[0][0] + 0.1
    for each, seen in zip(front.models, fresh, strict=True):
        assert each.ratings[1].value == pytest.approx(seen[1], abs=0.1)  # on 500 and 1,000 rows
    assert front.best("recall").ratings[1].value == max(row[1] for row in values)
    assert "as it was" in front.summary() and "model 1" in front._repr_html_()
    folder = front.save(tmp_path / "front")
    kept = json.loads((folder / "front.json").read_text())
    assert [[one["value"] for one in row] for row in kept["models"]] == values
    assert (folder / "model-1.safetensors").exists() and "Choose a model" in (folder / "report.html").read_text()


def test_a_front_that_is_stopped_goes_on_to_the_same_end(whole: Front, tmp_path: Path) -> None:
    asked = {"left": 110}

    def counted(scores: torch.Tensor, targets: torch.Tensor) -> float:
        asked["left"] -= 1
        if asked["left"] == 0:
            raise KeyboardInterrupt
        return get_metric("precision")(scores, targets)

    mine = Metric(counted, name="precision", higher_is_better=True)
    with pytest.raises(KeyboardInterrupt):
        _front([mine, "recall"], run=tmp_path / "stopped")
    again = _front([mine, "recall"], run=tmp_path / "stopped")
    assert [one.ratings for one in again.models] == [one.ratings for one in whole.models]
    assert torch.equal(again.observed, whole.observed) and again.calls == whole.calls
    before = asked["left"]
    _front([mine, "recall"], run=tmp_path / "stopped")
    assert asked["left"] == before  # every answer was kept
    with pytest.raises(OtherRun, match="batch_size was None and is now 7"):
        _front([mine, "recall"], run=tmp_path / "stopped", batch_size=7)


def test_three_metrics_and_other_directions() -> None:
    front = _front(["precision", "recall", "mcr"], budget=610, points=2)
    assert all(len(one.ratings) == 3 for one in front.models)
    assert "lower is better" in front.summary() and "The picture shows the first two" in render_front(front._shown())


def test_nothing_to_gain_is_an_empty_front() -> None:
    source = generator("empty front")
    x, y = torch.randn(900, 2, generator=source), (torch.rand(900, generator=source) < 0.5).float()
    same = [Metric(lambda s, t: 0.5, name=name, higher_is_better=True) for name in ("a", "b")]
    front = metricopt.optimize_front(
        nn.Linear(2, 1), metrics=same, train=(x, y), val=(x, y), budget=370, points=3, quiet=True
    )
    assert front.models == () and "No model was better" in front.summary()
    with pytest.raises(ConfigError, match="empty"):
        front.best("a")
    assert "0 models" in render_front(front._shown())


def test_what_no_other_beats_is_spread_along_the_front() -> None:
    values = [(0.1, 0.9), (0.1, 0.8), (0.5, 0.5), (0.5, 0.5), (0.9, 0.1), (0.45, 0.45), (0.52, 0.48)]
    seen = [(torch.full((2,), float(at + 1)), one) for at, one in enumerate(values)]
    assert [int(phi[0]) for phi, _ in spread_front(seen, 3)] == [5, 1, 3]  # the best of each metric, then between them
    assert len(spread_front(seen, 9)) == 4


def test_a_compromise_is_measured_by_what_is_missing_most() -> None:
    seen = [(torch.zeros(1), (1.0, 0.0)), (torch.zeros(1), (0.0, 1.0))]
    even = Aim(weights=(0.5, 0.5))
    assert even.worth((0.6, 0.6), seen) > even.worth((0.9, 0.4), seen) > even.worth((1.0, 0.0), seen)
    assert Aim(weights=(1.0, 0.0)).worth((0.6, 0.0), seen) > Aim(weights=(1.0, 0.0)).worth((0.5, 1.0), seen)
    assert [len(aims(k)) for k in (2, 3, 4)] == [5, 7, 11]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metrics": ["f1"]}, "2 to 4 metrics"),
        ({"metrics": ["f1", "f1"]}, "differ in their names"),
        ({"budget": 100}, "is too small"),
        ({"budget": True}, "must be a number"),
        ({"points": 1}, "points"),
        ({"acceptance": None}, "measured on examples"),
    ],
)
def test_what_cannot_work_is_told(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        _front(**options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="optimize_front"):
        net, train, val, _ = _case()
        metricopt.optimize(net, metric=["f1", "mcr"], train=train, val=val)
