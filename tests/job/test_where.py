"""Where adapters go that are named: there, and nowhere else, by the names that modules have in the user's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from job_case import QUICK, Case
from metricopt import Film, InputBias, learn_value, optimize_front
from metricopt._errors import AdapterError, ConfigError, MetricOptError
from metricopt.adapters import Site
from metricopt.job.preparation import Settings, prepare
from metricopt.metrics import get_metric


def changed(before: nn.Module, after: nn.Module) -> set[str]:
    theirs = after.state_dict()
    return {name.split(".")[0] for name, weight in before.state_dict().items() if not torch.equal(weight, theirs[name])}


@pytest.mark.parametrize(
    "where", ["2", "[12]", ("2", nn.Tanh), lambda site: site.name == "2", {"film": "2"}], ids=lambda one: repr(one)[:12]
)
def test_what_is_named_changes_and_nothing_else(case: Case, where: Any) -> None:
    outcome = case.optimized(adapters=Film(), where=where, method="random_search")
    assert outcome.accepted and changed(case.model, outcome.model) == {"2"}
    assert len(outcome.phi) == 2


def test_each_kind_of_adapter_has_its_place(case: Case) -> None:
    both = [InputBias(dim=3), Film()]
    outcome = case.optimized(adapters=both, where={"input_bias": "0", "film": nn.Linear}, method="random_search")
    assert len(outcome.phi) == 3 + 2 * (6 + 1)
    with pytest.raises(ConfigError, match="several adapters .* need where as a mapping"):
        case.optimized(adapters=both, where="0")


class Named(nn.Module):
    """Returns a mapping."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.net(x)}


@pytest.mark.parametrize("where", ["net.2", ("net.2", nn.Tanh), {"film": "net.2"}, nn.Linear])
def test_names_are_those_of_the_model_that_was_given(case: Case, where: Any) -> None:
    given = Case(model=Named(case.model), train=case.train, val=case.val)
    outcome = given.optimized(adapters=Film(), where=where, outputs="scores", method="random_search")
    assert type(outcome.model) is Named and len(outcome.phi) == (14 if where is nn.Linear else 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"where": "2"}, 'adapters="auto" chooses where they go, too; name them'),
        ({"where": 5}, "where must be a name pattern, a module type"),
        ({"where": "layer3.*", "adapters": Film()}, r"no site matches where='layer3.\*'. There are: 0: Linear, 2"),
        ({"where": {"lora": "2"}, "adapters": Film()}, r"where names the adapters \['lora'\]"),
    ],
)
def test_what_cannot_be_meant_is_told(case: Case, options: dict[str, Any], told: str) -> None:
    with pytest.raises((ConfigError, AdapterError), match=told):
        case.optimized(**options)


def test_a_run_goes_on_in_the_same_place_alone(case: Case, tmp_path: Path) -> None:
    def once(where: Any) -> Any:
        return case.optimized(adapters=Film(), where=where, method="random_search", run=tmp_path / "run")

    def last(site: Site) -> bool:
        return site.name == "2"

    first = once(("2", last))
    assert torch.equal(once(("2", last)).phi, first.phi)
    for other in ("2", ("2", lambda site: site.name == "0"), None):
        with pytest.raises(MetricOptError, match="where"):
            once(other)


def test_every_job_takes_it(case: Case) -> None:
    settings = Settings(adapters=Film(), where="2")
    made = prepare(
        case.model, metric=get_metric("f1"), train=case.train, val=case.val, acceptance=0.4, settings=settings
    )
    assert made.model is case.model and made.workload.dim == 2
    data = {"train": case.train, "val": case.val, "adapters": Film(), "where": "2"}
    front = optimize_front(case.model, metrics=["precision", "recall"], points=2, budget=330, quiet=True, **data)
    assert all(changed(case.model, one.model) == {"2"} for one in front.models)
    assert len(learn_value(case.model, metric="f1", calls=12, config=QUICK, **data)) == 12
