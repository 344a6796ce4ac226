"""Choosing sites: patterns, types, predicates, mappings, and the errors that list what there is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import AdapterError, ConfigError
from metricopt.adapters import AdaptedModel, ConditionalNorm, Film, InputBias, LoRA, OutputShift, Projected, attach
from metricopt.adapters.probe import find_sites


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3)).eval()


X = torch.linspace(-1, 1, 20).reshape(5, 4)


def sites_of(adapted: AdaptedModel) -> list[str]:
    return list(dict.fromkeys(slot.name.rsplit(".", 2)[0] for slot in adapted.spec.slots))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, ["0", "1", "3", "4"]),
        ("3", ["3"]),
        ("[03]", ["0", "3"]),
        (nn.BatchNorm1d, ["1"]),
        ((nn.BatchNorm1d, "4"), ["1", "4"]),
        (lambda site: site.output_shape == (5, 6), ["0", "1", "3"]),
        ({"film": "4"}, ["4"]),
    ],
)
def test_where_chooses(where: Any, expected: list[str]) -> None:
    assert sites_of(attach(net(), Film(), where=where, probe=X)) == expected


def test_input_bias_takes_the_first_to_run_not_the_first_to_be_registered() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.early = nn.Linear(6, 3), nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.late(self.early(x))

    assert sites_of(attach(Backwards(), InputBias(), probe=X)) == ["early"]


def test_a_mapping_leaves_the_others_at_their_default() -> None:
    adapted = attach(net(), [Film(), OutputShift()], where={"film": nn.BatchNorm1d}, probe=X)
    assert [slot.name for slot in adapted.spec.slots] == [
        "1.film.gamma",
        "1.film.beta",
        "output_shift.shift",
        "output_shift.log_temperature",
    ]
    assert adapted.spec.slice_of("output_shift.shift") == slice(12, 15)


def test_a_pattern_that_matches_nothing_lists_the_sites() -> None:
    with pytest.raises(AdapterError, match=r"where='layer\*'\. There are: 0: Linear, 1: BatchNorm1d, 3: Linear, 4"):
        attach(net(), Film(), where="layer*", probe=X)


def test_a_site_that_never_fires_is_named_and_the_others_listed(make_case: Any) -> None:
    model, x = make_case("transformer", "film").model(), torch.zeros(2, 3, 5)
    with pytest.raises(AdapterError, match=r"encoder\.layers\.0\.self_attn\.out_proj: NonDyn.*never fires") as error:
        attach(model, Film(), where=nn.Linear, probe=x)
    listed = str(error.value).split("There are:")[1]
    assert "encoder.layers.0.linear1: Linear" in listed
    assert "out_proj" not in listed
    assert not any("out_proj" in name for name in sites_of(attach(model, Film(), probe=x)))


def test_a_model_without_a_fitting_module_says_what_it_has() -> None:
    with pytest.raises(AdapterError, match=r"conditional_norm: none of the modules that run .*There are: 0: Linear"):
        attach(nn.Sequential(nn.Linear(4, 2)), ConditionalNorm(), probe=X)


def test_scores_that_are_no_tensor_ask_for_a_layer() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.fc(x), x

    with pytest.raises(AdapterError, match=r"\(root\): Pair is not a tensor of scores"):
        attach(Pair(), OutputShift(), probe=X)
    adapted = attach(Pair(), OutputShift(), where="fc", probe=X)
    assert adapted.spec.slice_of("fc.output_shift.shift") == slice(0, 2)
    phi = torch.tensor([1.0, 2.0, 0.0])
    torch.testing.assert_close(adapted.merged(phi)(X)[0], adapted.tail(phi, X)[0])
    several = adapted.outputs(torch.stack([phi, 0 * phi]), X)
    assert [tuple(part.shape) for part in several] == [(2, 5, 2), (2, 5, 4)]


def test_a_shared_module_is_found_under_each_of_its_names() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    sites = {site.name: site for site in find_sites(model, X)}
    assert (sites["0"].fires, sites["0"].aliases) == (2, ("2",))
    assert sites_of(attach(model, Film(), where="2", probe=X)) == ["0"]


def test_the_probe_leaves_mode_statistics_and_input_alone() -> None:
    model = net().train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    probe = X.clone()
    adapted = attach(model, Film(), probe=probe)
    assert [module.training for module in model.modules()] == modes
    assert adapted.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(probe, X)


def test_a_failed_attach_leaves_no_hook() -> None:
    model = net()
    with pytest.raises(AdapterError):
        attach(model, [Film(), Film()], probe=X)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        attach(model, Film(), probe=torch.zeros(2, 9))
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_inputs_may_be_several_or_named() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.fc(input=x + y)

    for inputs in ((X, X), {"x": X, "y": X}):
        adapted = attach(Sum(), [LoRA(), OutputShift(temperature=False)], where={"lora": "fc"}, probe=inputs)
        phis = torch.linspace(-1, 1, 2 * adapted.spec.dim).reshape(2, -1)
        expected = adapted.merged(phis[1])(X, X)
        torch.testing.assert_close(adapted.outputs(phis, adapted.head(inputs))[1], expected)


@pytest.mark.parametrize(
    ("adapters", "arguments", "error", "words"),
    [
        ([], {}, ConfigError, "at least one"),
        ([nn.Linear(2, 2)], {}, ConfigError, "got Linear"),
        ([Film(), OutputShift()], {"where": "0"}, ConfigError, "mapping from kind to sites"),
        ([Film()], {"where": {"lora": "0"}}, ConfigError, r"\['lora'\], but those attached are \['film'\]"),
        ([Film()], {"where": 3}, ConfigError, "name pattern"),
        ([Film(), Film()], {}, AdapterError, "two adapters of kind 'film' at the site 0: Linear"),
        ([OutputShift()], {"dim": 5}, ConfigError, "dim=5 is more than the 4 numbers"),
        ([OutputShift()], {"dim": 0}, ConfigError, "at least 1"),
        ([Projected(adapter=Film(), dim=2)], {"dim": 2}, ConfigError, "not both"),
        ([OutputShift(axis=3)], {}, ConfigError, "have 2 axes"),
    ],
)
def test_arguments_that_cannot_work(adapters: Any, arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        attach(net(), adapters, probe=X, **arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: InputBias(dim=0),
        lambda: InputBias(scale=-1.0),
        lambda: LoRA(rank=0),
        lambda: LoRA(scale=float("nan")),
        lambda: OutputShift(axis=0),
        lambda: Projected(adapter=Film(), dim=0),
    ],
)
def test_settings_are_checked_on_construction(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_a_second_attach_is_refused_until_detach() -> None:
    model = net()
    adapted = attach(model, Film(), probe=X)
    with pytest.raises(AdapterError, match="has adapters already"):
        attach(model, LoRA(), probe=X)
    adapted.detach()
    assert adapted.detach() is model
    with pytest.raises(AdapterError, match="was detached"):
        adapted.tail(torch.zeros(adapted.spec.dim), X)
    assert attach(model, LoRA(), probe=X).spec.dim == 6 + 6 + 3
