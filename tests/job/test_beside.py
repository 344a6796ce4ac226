"""What stands beside the targets reaches the metric, row by row, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import metricopt
from metricopt._errors import ConfigError, DataError, MetricError
from metricopt.methods import ThresholdTuning
from metricopt.metrics import Judged, Metric, from_function, get_metric
from metricopt.workload import Examples

X = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0.5).float()
COST = torch.arange(400) % 7
TRAIN, VAL = (X[:150], Y[:150]), (X[150:], Y[150:], COST[150:])


def net() -> nn.Module:
    found = nn.Linear(3, 1)
    found.load_state_dict({"weight": torch.tensor([[2.0, 0, 0]]), "bias": torch.zeros(1)})
    return found


#: What is told to whom is the same whatever searches.
CHEAP = ThresholdTuning(candidates=20)


class Seen:
    """A cost of each row, and which rows it was told about."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, int]] = []

    def __call__(self, scores: Tensor, targets: Tensor, cost: Tensor) -> float:
        self.calls.append((len(scores), len(targets), len(cost)))
        wrong = (scores > 0) != (targets > 0)
        return float((wrong * cost).sum() / cost.sum())


def tuned(metric: Any, **given: Any) -> metricopt.Outcome:
    settings: dict[str, Any] = {"train": TRAIN, "val": VAL, "budget": 80, "method": CHEAP, "quiet": True} | given
    return metricopt.optimize(net(), metric=metric, higher_is_better=False, bounds=(0, 1), **settings)


def test_a_metric_is_told_of_the_rows_that_it_rates() -> None:
    seen = Seen()
    outcome = tuned(seen)
    assert outcome.accepted and outcome.after < outcome.before
    assert all(rows == targets == cost for rows, targets, cost in seen.calls)
    assert len({rows for rows, _, _ in seen.calls}) == 2  # the search part and the holdout, of 250 rows
    assert {rows for rows, _, _ in seen.calls} == {150, 100}


def test_rows_and_what_stands_beside_them_are_never_mixed_up() -> None:
    rows = {tuple(x.tolist()): int(cost) for x, cost in zip(X, COST, strict=True)}

    def same(scores: Tensor, targets: Tensor, cost: Tensor) -> float:
        assert [rows[tuple(one.tolist())] for one in targets] == cost.tolist()
        return float((scores - targets).abs().mean().clamp(0, 1))

    metricopt.optimize(
        nn.Linear(3, 3),
        metric=same,
        higher_is_better=False,
        bounds=(0, 1),
        loss="mse",
        train=(X[:150], X[:150]),
        val=(X[150:], X[150:], COST[150:]),
        budget=70,
        outputs="values",
        method="random_search",
        quiet=True,
    )


@pytest.mark.parametrize("wrap", [tuple, lambda part: Examples(inputs=part[0], targets=part[1], beside=part[2])])
def test_acceptance_rows_of_ones_own_have_it_as_well(wrap: Any) -> None:
    seen = Seen()
    tuned(seen, val=wrap([one[150:330] for one in (X, Y, COST)]), acceptance=wrap([one[330:] for one in (X, Y, COST)]))
    assert {rows for rows, _, _ in seen.calls} == {180, 70}


def test_metrics_by_name_and_limits_go_with_it() -> None:
    assert tuned("mcr").metric == "mcr"
    limited = metricopt.constrained(Metric(Seen(), name="cost", higher_is_better=False), "recall >= 0.5")
    outcome = metricopt.optimize(net(), metric=limited, train=TRAIN, val=VAL, budget=80, method=CHEAP, quiet=True)
    assert "recall >= 0.5 holds" in outcome.summary()
    trusted = metricopt.optimize(
        net(), metric=limited, train=TRAIN, val=VAL, budget=80, method=CHEAP, acceptance=None, quiet=True
    )
    assert "recall >= 0.5" in trusted.summary()
    front = metricopt.optimize_front(
        net(),
        metrics=["f1", Metric(Seen(), name="cost", higher_is_better=False)],
        train=TRAIN,
        val=VAL,
        points=2,
        budget=330,
    )
    assert front.calls <= 330


def test_numpy_metrics_datasets_and_processes() -> None:
    def cost_of(scores: Any, targets: Any, cost: Any) -> float:
        assert all(isinstance(one, np.ndarray) for one in (scores, targets, cost))
        return float((((scores > 0) != (targets > 0)) * cost).sum() / cost.sum())

    metric = from_function(cost_of, higher_is_better=False, arrays="numpy")
    one = metricopt.optimize(
        net(), metric=metric, train=TRAIN, val=TensorDataset(*VAL), budget=70, method=CHEAP, quiet=True
    )
    assert one.before == pytest.approx(tuned(Seen(), budget=70).before)
    again = metricopt.optimize(
        net(), metric=metric, train=TRAIN, val=VAL, budget=70, method=CHEAP, quiet=True, executor="threads", workers=2
    )
    assert again.before == one.before


def test_a_run_with_other_costs_is_another_run(tmp_path: Path) -> None:
    tuned(Seen(), run=tmp_path, budget=70)
    with pytest.raises(ConfigError, match="holdout|val"):
        tuned(Seen(), run=tmp_path, budget=70, val=(X[150:], Y[150:], COST[150:] + 1))


def test_what_cannot_work_is_told() -> None:
    with pytest.raises(ConfigError, match="beside the targets must have 250 rows"):
        tuned(Seen(), val=(X[150:], Y[150:], COST[:20]))
    with pytest.raises(DataError, match="got 4 things"):
        tuned(Seen(), val=(*VAL, COST))
    with pytest.raises(MetricError, match="needs a third argument, and val has nothing beside its targets"):
        tuned(Seen(), val=VAL[:2])


def test_a_metric_without_a_third_argument_is_told_of_targets_alone() -> None:
    accuracy = get_metric("accuracy")
    assert accuracy(torch.tensor([1.0, -1.0]), Judged(torch.tensor([1, 1]), torch.tensor([5, 6]))) == 0.5
