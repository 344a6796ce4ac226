"""What every adapter does on every model: identity at zero, folding, detaching, head and tail, populations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from metricopt.adapters import ADAPTERS

#: One float32 rounding more or less per layer; outputs are of order one.
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
#: Fewer examples where attaching anew is slow; there are many cases.
FEW = settings(max_examples=4)

seeds = st.integers(0, 2**31)
scales = st.sampled_from([0.01, 0.1, 0.4])


def random_phi(dim: int, seed: int, scale: float = 0.3) -> Tensor:
    return scale * torch.randn(dim, generator=torch.Generator().manual_seed(seed))


def bytes_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_zero_is_the_identity(case: Any) -> None:
    x = case.inputs()
    expected = case.model()(x)
    adapted = case.attach()
    assert not adapted.phi.any()
    # Not bit for bit: hooks switch off the fused kernel of transformer layers.
    torch.testing.assert_close(adapted(x), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(adapted.tail(adapted.phi, adapted.head(x)), expected, atol=1e-6, rtol=1e-6)


@FEW
@given(seed=seeds, scale=scales)
def test_fold_is_apply(case: Any, seed: int, scale: float) -> None:
    adapted = case.attach()
    phi = random_phi(adapted.spec.dim, seed, scale)
    x = case.inputs(seed)
    merged = adapted.merged(phi)
    torch.testing.assert_close(merged(x), adapted.tail(phi, adapted.head(x)), **CLOSE)
    names = [(name, type(module)) for name, module in merged.named_modules()]
    assert names == [(name, type(module)) for name, module in case.model().named_modules()]
    assert not any(module._forward_hooks for module in merged.modules())


def test_merged_leaves_the_adapted_model_alone(case: Any) -> None:
    adapted = case.attach()
    before = bytes_of(adapted)
    merged = adapted.merged(random_phi(adapted.spec.dim, 0))
    assert same(bytes_of(adapted), before)
    assert all(parameter.requires_grad for parameter in merged.parameters())
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.add_(1.0)
    assert same(bytes_of(adapted), before)


@FEW
@given(seed=seeds)
def test_tail_is_forward(case: Any, seed: int) -> None:
    adapted = case.attach()
    phi = random_phi(adapted.spec.dim, seed)
    x = case.inputs(seed)
    features = adapted.head(x)
    with torch.no_grad():
        adapted.phi.copy_(phi)
    torch.testing.assert_close(adapted.tail(phi, features), adapted(x), **CLOSE)
    # A second time on the same features: the first has not written into them.
    torch.testing.assert_close(adapted.tail(phi, features), adapted(x), **CLOSE)


@pytest.mark.parametrize("chunk", [None, 1, 2])
def test_a_population_is_one_by_one(case: Any, chunk: int | None) -> None:
    adapted = case.attach()
    phis = torch.stack([random_phi(adapted.spec.dim, seed) for seed in range(3)])
    xs = torch.stack([case.inputs(seed) for seed in range(3)])
    features = adapted.head(xs[0])
    expected = torch.stack([adapted.tail(phi, features) for phi in phis])
    torch.testing.assert_close(adapted.outputs(phis, features, chunk=chunk), expected, **CLOSE)
    torch.testing.assert_close(torch.func.vmap(adapted.tail, in_dims=(0, None))(phis, features), expected, **CLOSE)
    own = [adapted.head(x) for x in xs]
    expected = torch.stack([adapted.tail(phi, mine) for phi, mine in zip(phis, own, strict=True)])
    torch.testing.assert_close(adapted.outputs_each(phis, torch.stack(own), chunk=chunk), expected, **CLOSE)


def test_gradients_agree(case: Any) -> None:
    adapted = case.attach()
    features = adapted.head(case.inputs())
    phis = torch.stack([random_phi(adapted.spec.dim, seed) for seed in range(2)])

    def loss(phi: Tensor) -> Tensor:
        return adapted.tail(phi, features).square().mean()

    by_vmap = torch.func.vmap(torch.func.grad(loss))(phis)
    point = phis.clone().requires_grad_()
    sums = adapted.outputs(point, features).square().flatten(1).mean(1).sum()
    (by_sum,) = torch.autograd.grad(sums, point)
    with torch.no_grad():
        adapted.phi.copy_(phis[1])
    adapted(case.inputs()).square().mean().backward()
    torch.testing.assert_close(by_sum, by_vmap, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(adapted.phi.grad, by_vmap[1], atol=1e-5, rtol=1e-4)
    assert all(parameter.grad is None for parameter in adapted.model.parameters())


def test_the_gradient_at_zero_is_not_zero(case: Any) -> None:
    adapted = case.attach()
    adapted(case.inputs()).square().sum().backward()
    assert adapted.phi.grad.abs().max() > 1e-4


def test_the_gradient_agrees_with_differences(case: Any) -> None:
    adapted = case.attach(case.model().double(), probe=case.inputs().double())
    assert adapted.phi.dtype == torch.float64
    features = adapted.head(case.inputs().double())
    phi = random_phi(adapted.spec.dim, 3).double()
    way = random_phi(adapted.spec.dim, 4).double()

    def value(step: float) -> Tensor:
        return adapted.tail(phi + step * way, features).square().sum()

    slope = torch.func.grad(lambda p: adapted.tail(p, features).square().sum())(phi) @ way
    # Central differences in float64: the error is of order 1e-10 relative, kinks of ReLU aside.
    torch.testing.assert_close(slope, (value(1e-6) - value(-1e-6)) / 2e-6, atol=1e-5, rtol=1e-5)


def test_detach_gives_the_original_back(case: Any) -> None:
    model = case.model()
    next(iter(model.parameters())).requires_grad_(False)
    before, asked = bytes_of(model), [p.requires_grad for p in model.parameters()]
    x = case.inputs()
    expected = model(x)
    adapted = case.attach(model)
    assert not any(p.requires_grad for p in model.parameters())
    with torch.no_grad():
        adapted.phi.copy_(random_phi(adapted.spec.dim, 0))
    # Training moves running statistics, which detach puts back.
    adapted.train()(x).sum().backward()
    adapted.eval()
    assert adapted.detach() is model
    assert same(bytes_of(model), before)
    assert [p.requires_grad for p in model.parameters()] == asked
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model(x), expected)


def test_the_models_own_state_dict_is_untouched(case: Any) -> None:
    model = case.model()
    before = bytes_of(model)
    adapted = case.attach(model)
    assert same(bytes_of(model), before)
    assert [name for name, p in adapted.named_parameters() if p.requires_grad] == ["phi"]


def test_a_deepcopy_follows_its_own_phi(case: Any) -> None:
    adapted = case.attach()
    x = case.inputs()
    before = adapted(x)
    twin = copy.deepcopy(adapted)
    with torch.no_grad():
        twin.phi.copy_(random_phi(twin.spec.dim, 1))
    assert torch.equal(adapted(x), before)
    assert not torch.allclose(twin(x), before)
    twin.detach()
    assert torch.equal(adapted(x), before)


def test_fingerprints_know_adapters_not_weights(case: Any) -> None:
    one, two = case.attach(), case.attach(case.model(seed=5))
    assert one.spec == two.spec
    other_seed = case.attach(seed=7)
    has_random_parts = any(key.startswith(("constant", "projection")) for key in one.state_dict())
    assert (one.spec.fingerprint != other_seed.spec.fingerprint) == has_random_parts


def test_slot_names_end_in_kind_and_parameter(case: Any) -> None:
    for slot in case.attach().spec.slots:
        *site, kind, parameter = slot.name.split(".")
        assert kind in ADAPTERS or (kind, parameter) == ("phi", "projected")
        assert parameter
        assert not site or ".".join(site) in dict(case.model().named_modules())


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_every_adapter_has_a_card(name: str) -> None:
    card = ADAPTERS[name]
    assert card.name == card.adapter.kind() == name
    assert card.summary and card.sites and card.phi and card.folds
    assert card.adapter() == card.adapter()
