"""What torch does with modules keeps working: state dicts, functional calls, export, autocast, DDP, memory formats."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from metricopt._errors import AdapterError, ConfigError, FingerprintMismatch
from metricopt.adapters import ConditionalNorm, Film, InputBias, LoRA, OutputShift, attach


def random_phi(dim: int, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(dim, generator=torch.Generator().manual_seed(seed))


def test_the_wrappers_state_dict_carries_phi_and_projections(case: Any) -> None:
    source = case.attach()
    with torch.no_grad():
        source.phi.copy_(random_phi(source.spec.dim))
    file = io.BytesIO()
    torch.save(source.state_dict(), file)
    file.seek(0)
    target = case.attach(case.model(seed=9))
    target.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(target(case.inputs()), source(case.inputs()))


def test_a_state_dict_of_another_layout_is_refused(make_case: Any) -> None:
    case = make_case("mlp", "input_bias")
    saved = case.attach(seed=0).state_dict()
    target = case.attach(seed=1)
    with pytest.raises(FingerprintMismatch, match="the state dict was made for"):
        target.load_state_dict(saved)
    outer = nn.ModuleDict({"inside": target})
    with pytest.raises(FingerprintMismatch):
        outer.load_state_dict({f"inside.{name}": tensor for name, tensor in saved.items()})


def test_the_models_state_dict_loads_while_attached(model_case: Any) -> None:
    model, other = model_case.model(), model_case.model(seed=4)
    adapted = model_case.attach(model)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(adapted(model_case.inputs()), other(model_case.inputs()))


def test_functional_call_replaces_phi_and_weights(model_case: Any) -> None:
    adapted = model_case.attach()
    x, phi = model_case.inputs(), random_phi(adapted.spec.dim)
    expected = adapted.tail(phi, adapted.head(x))
    torch.testing.assert_close(torch.func.functional_call(adapted, {"phi": phi}, (x,)), expected)
    other = model_case.attach(model_case.model(seed=4))
    weights = {f"model.{name}": tensor for name, tensor in other.model.state_dict().items()}
    got = torch.func.functional_call(adapted, {"phi": phi, **weights}, (x,))
    torch.testing.assert_close(got, other.tail(phi, other.head(x)))
    assert not adapted.phi.any()


def test_export(model_case: Any) -> None:
    adapted = model_case.attach()
    with torch.no_grad():
        adapted.phi.copy_(random_phi(adapted.spec.dim))
    program = torch.export.export(adapted, (model_case.inputs(),)).module()
    x = model_case.inputs(seed=2)
    torch.testing.assert_close(program(x), adapted(x), atol=1e-6, rtol=1e-5)


def test_merged_exports_without_a_trace_of_the_adapters(model_case: Any) -> None:
    merged = model_case.attach().merged()
    x = model_case.inputs()
    exported = torch.export.export(merged, (x,))
    assert set(exported.state_dict) == set(model_case.model().state_dict())
    torch.testing.assert_close(exported.module()(x), merged(x), atol=1e-6, rtol=1e-5)


def test_autocast_keeps_the_dtype_of_the_bare_model(case: Any) -> None:
    x = case.inputs()
    adapted = case.attach()
    phi = random_phi(adapted.spec.dim) / 3
    expected = adapted.tail(phi, adapted.head(x))
    bare = case.model()
    with torch.autocast("cpu", torch.bfloat16):
        dtype = bare(x).dtype
        got = adapted.tail(phi, adapted.head(x))
        several = adapted.outputs(torch.stack([phi, 0 * phi]), adapted.head(x))
    assert got.dtype == several.dtype == dtype
    # bfloat16 keeps 8 bits: a few roundings of 0.4 % through some layers.
    torch.testing.assert_close(got.float(), expected, atol=0.1, rtol=0.1)
    torch.testing.assert_close(several[0].float(), expected, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "adapter", [InputBias(dim=3), OutputShift(), Film(), ConditionalNorm(), LoRA(), LoRA(train_a=True)]
)
def test_a_float32_phi_does_not_promote_a_half_model(adapter: Any, dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 3)).to(dtype)
    x = torch.linspace(-1, 1, 20, dtype=dtype).reshape(5, 4)
    expected = model(x)
    adapted = attach(model, adapter, probe=x)
    assert adapted.phi.dtype == torch.float32
    assert torch.equal(adapted(x), expected)
    output = adapted.tail(random_phi(adapted.spec.dim), adapted.head(x))
    assert output.dtype == dtype
    assert {p.dtype for p in adapted.merged().parameters()} == {dtype}
    adapted(x).sum().backward()
    assert adapted.phi.grad is not None
    assert adapted.phi.grad.dtype == torch.float32


@pytest.fixture
def one_process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def test_distributed_data_parallel(one_process_group: None, model_case: Any) -> None:
    x = model_case.inputs()
    alone = model_case.attach()
    together = copy.deepcopy(alone)
    parallel = DistributedDataParallel(together)
    steps = [torch.optim.SGD([module.phi], lr=0.1) for module in (alone, together)]
    for _ in range(2):
        for module, optimizer in zip((alone, parallel), steps, strict=True):
            optimizer.zero_grad()
            module(x).square().mean().backward()
            optimizer.step()
    assert alone.phi.any()
    torch.testing.assert_close(together.phi, alone.phi)


def test_channels_last_stays_channels_last(make_case: Any) -> None:
    for name in ("film", "conditional_norm", "lora", "input_bias"):
        case = make_case("conv2d", name)
        expected = case.attach()
        phi = random_phi(expected.spec.dim)
        x = case.inputs()
        adapted = case.attach(case.model().to(memory_format=torch.channels_last))
        formats: list[bool] = []
        adapted.model[0].register_forward_hook(
            lambda module, args, output, seen=formats: seen.append(
                output.is_contiguous(memory_format=torch.channels_last)
            )
        )
        got = torch.func.functional_call(adapted, {"phi": phi}, (x.to(memory_format=torch.channels_last),))
        assert formats == [True]
        torch.testing.assert_close(got, expected.tail(phi, expected.head(x)))
        adapted.model[0]._forward_hooks.popitem()
        assert adapted.merged(phi)[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_moving_the_wrapper_moves_phi_and_constants(make_case: Any) -> None:
    adapted = make_case("mlp", "all projected").attach().double()
    assert {t.dtype for t in adapted.state_dict().values() if t.is_floating_point()} == {torch.float64}
    assert adapted(torch.zeros(2, 6, dtype=torch.float64)).dtype == torch.float64


def test_train_mode_batch_norm_in_a_population_is_refused(make_case: Any) -> None:
    adapted = make_case("mlp", "input_bias").attach().train()
    phis = torch.zeros(2, adapted.spec.dim)
    with pytest.raises(AdapterError, match="call .eval"):
        adapted.outputs(phis, torch.zeros(3, 8))
    adapted.eval()
    assert adapted.outputs(phis, torch.zeros(3, 8)).shape == (2, 3, 1)
    with pytest.raises(ConfigError, match=r"phis must be \(n, 5\)"):
        adapted.outputs(phis[0], torch.zeros(3, 8))
    with pytest.raises(ConfigError, match="n at least 1"):
        adapted.outputs(phis[:0], torch.zeros(3, 8))
    with pytest.raises(ConfigError, match="one entry per phi"):
        adapted.outputs_each(phis, torch.zeros(3, 8))
    with pytest.raises(ConfigError, match="dimension 5"):
        adapted.tail(torch.zeros(4), torch.zeros(3, 8))


def test_dropout_in_train_mode_draws_anew_for_each_phi() -> None:
    model = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Identity())
    adapted = attach(model, InputBias(dim=2), probe=torch.zeros(1, 4))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        outputs = adapted.outputs(torch.zeros(2, 2), torch.ones(3, 50))
    assert not torch.equal(outputs[0], outputs[1])
    assert set(outputs.unique().tolist()) == {0.0, 2.0}


def test_a_padding_mask_passes_through_a_transformer() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        x = torch.randn(3, 5, 8)
    mask = torch.arange(5).expand(3, 5) >= torch.tensor([[5], [3], [1]])
    inputs = {"src": x, "src_key_padding_mask": mask}
    adapted = attach(model, Film(), where="linear?", probe=inputs)
    phis = torch.stack([random_phi(adapted.spec.dim, seed) for seed in range(2)])
    with torch.no_grad():
        expected = adapted.merged(phis[1])(**inputs)
        got = adapted.outputs(phis, adapted.head(inputs))[1]
    torch.testing.assert_close(got[~mask], expected[~mask], atol=1e-5, rtol=1e-5)


def test_a_block_that_writes_into_its_input_does_not_spoil_the_features() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(nn.functional.silu(x, inplace=True))

    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    adapted = attach(nn.Sequential(nn.Linear(4, 4), InPlace()), LoRA(), where="1.fc", probe=x)
    features = adapted.head(x)
    kept, phis = features.clone(), torch.zeros(2, adapted.spec.dim)
    first = adapted.tail(phis[0], features)
    torch.testing.assert_close(adapted.outputs(phis, features), first.expand(2, 3, 4))
    assert torch.equal(features, kept)
