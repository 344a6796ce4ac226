"""Each adapter against its formula, written out in NumPy, and what each promises beyond it."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from metricopt.adapters import ConditionalNorm, Film, InputBias, LoRA, OutputShift, Projected, attach
from metricopt.adapters.projection import orthonormal

#: Float32 sums of a few dozen numbers of order one.
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(module: nn.Module) -> nn.Module:
    """A copy of the module with fixed weights of order one."""
    module = copy.deepcopy(module)
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(random(*parameter.shape, seed=seed))
    return module.eval()


def test_input_bias_adds_unit_rows_times_context() -> None:
    layer, x = seeded(nn.Linear(3, 5)), random(4, 3)
    adapted = attach(layer, InputBias(dim=2, scale=0.7), probe=x)
    matrix = adapted.get_buffer("constant_0_matrix").numpy()
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 0.7, rtol=1e-6)
    context = np.array([0.3, -1.2], dtype=np.float32)
    expected = x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy() + matrix @ context
    np.testing.assert_allclose(adapted.tail(torch.from_numpy(context), adapted.head(x)), expected, **CLOSE)


def test_head_of_an_input_bias_is_the_first_layers_own_output() -> None:
    model, x = nn.Sequential(seeded(nn.Linear(3, 5)), nn.ReLU(), nn.Linear(5, 1)), random(4, 3)
    adapted = attach(model, [InputBias(), OutputShift()], probe=x)
    expected = x @ model[0].weight.T + model[0].bias
    torch.testing.assert_close(adapted.head(x), expected)
    with torch.no_grad():
        adapted.phi.fill_(1.0)
    torch.testing.assert_close(adapted.head(x), expected)


def test_head_of_an_output_shift_is_the_whole_model(make_case: Any) -> None:
    for name in ("residual", "mlp", "transformer"):
        case = make_case(name, "output_shift")
        torch.testing.assert_close(case.attach().head(case.inputs()), case.model()(case.inputs()), **CLOSE)


def test_head_is_the_input_where_nothing_can_be_split_off(make_case: Any) -> None:
    case = make_case("linear", "lora")
    x = case.inputs()
    assert case.attach().head(x) is x


@pytest.mark.parametrize(("shape", "classes"), [((4,), 1), ((4, 1), 1), ((4, 3), 3)])
def test_output_shift_on_scores_of_each_kind(shape: tuple[int, ...], classes: int) -> None:
    class Scores(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(shape)

    x = random(*shape)
    adapted = attach(Scores(), OutputShift(), probe=x)
    assert [slot.shape for slot in adapted.spec.slots] == [(classes,), ()]
    phi = random(classes + 1, seed=1)
    expected = x.numpy() * np.exp(phi[-1].item()) + phi[:classes].numpy()
    np.testing.assert_allclose(adapted.tail(phi, adapted.head(x)), expected, **CLOSE)


def test_output_shift_takes_the_channels_of_a_convolution_and_the_last_axis_of_a_linear() -> None:
    x = random(2, 3, 4, 5)
    dense = attach(seeded(nn.Conv2d(3, 2, 1)), OutputShift(temperature=False), probe=x)
    phi = torch.tensor([1.0, -2.0])
    gain = dense.tail(phi, dense.head(x)) - dense.tail(0 * phi, dense.head(x))
    torch.testing.assert_close(gain, phi[:, None, None].expand(2, 2, 4, 5))
    tokens = attach(seeded(nn.Linear(5, 2)), OutputShift(temperature=False), probe=x)
    gain = tokens.tail(phi, tokens.head(x)) - tokens.tail(0 * phi, tokens.head(x))
    torch.testing.assert_close(gain, phi.expand(2, 3, 4, 2))
    along_rows = attach(nn.Identity(), OutputShift(temperature=False, axis=1), probe=x)
    assert along_rows.spec.dim == 3


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(3, 4), (2, 5, 3)),
        (nn.Conv1d(3, 4, 2), (2, 3, 5)),
        (nn.Conv2d(3, 4, 2), (2, 3, 5, 5)),
        (nn.Conv2d(3, 4, 2), (3, 5, 5)),
        (nn.Conv3d(3, 4, 2), (2, 3, 3, 3, 3)),
        (nn.BatchNorm1d(4), (5, 4)),
        (nn.BatchNorm1d(4), (5, 4, 2)),
        (nn.BatchNorm2d(4), (5, 4, 2, 2)),
        (nn.GroupNorm(2, 4), (5, 4, 2)),
    ],
)
def test_film_scales_and_shifts_channels(module: nn.Module, shape: tuple[int, ...]) -> None:
    module, x = seeded(module), random(*shape)
    adapted = attach(module, Film(), probe=x)
    phi = random(8, seed=3)
    output = seeded(module)(x).detach().numpy()
    axis = list(output.shape).index(4, 0 if len(shape) == 3 and shape[0] == 3 else 1)
    broadcast = [-1 if i == axis else 1 for i in range(output.ndim)]
    expected = output * (1 + phi[:4].numpy().reshape(broadcast)) + phi[4:].numpy().reshape(broadcast)
    np.testing.assert_allclose(adapted.tail(phi, adapted.head(x)), expected, **CLOSE)
    torch.testing.assert_close(adapted.merged(phi)(x), torch.from_numpy(expected), **CLOSE)


def test_film_on_a_layer_norm_has_its_whole_shape() -> None:
    module, x = seeded(nn.LayerNorm((2, 3))), random(4, 2, 3)
    adapted = attach(module, Film(), probe=x)
    phi = random(12, seed=3)
    gamma, beta = phi.reshape(2, 2, 3).numpy()
    expected = adapted.tail(0 * phi, adapted.head(x)).numpy() * (1 + gamma) + beta
    np.testing.assert_allclose(adapted.tail(phi, adapted.head(x)), expected, **CLOSE)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_conditional_batch_norm(affine: bool, training: bool) -> None:
    norm, x = seeded(nn.BatchNorm2d(3, affine=affine)), random(4, 3, 2, 2)
    norm.running_mean.copy_(random(3, seed=5))
    norm.train(training)
    twin = nn.BatchNorm2d(3)
    twin.load_state_dict({**twin.state_dict(), **norm.state_dict()})
    twin.train(training)
    adapted = attach(norm, ConditionalNorm(), probe=x)
    phi = random(6, seed=6)
    with torch.no_grad():
        adapted.phi.copy_(phi)
        twin.weight.add_(phi[:3])
        twin.bias.add_(phi[3:])
    torch.testing.assert_close(adapted(x), twin(x), **CLOSE)
    # The running statistics moved once, not twice.
    torch.testing.assert_close(norm.running_var, twin.running_var)
    assert norm.num_batches_tracked == twin.num_batches_tracked == int(training)
    folded = adapted.merged().eval()
    torch.testing.assert_close(folded(x), twin.eval()(x), **CLOSE)


def test_conditional_batch_norm_without_running_statistics() -> None:
    norm, x = seeded(nn.BatchNorm1d(3, track_running_stats=False)), random(8, 3)
    adapted = attach(norm, ConditionalNorm(), probe=x)
    phi = random(6, seed=6)
    standard = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
    expected = standard * (norm.weight + phi[:3]) + norm.bias + phi[3:]
    torch.testing.assert_close(adapted.tail(phi, x), expected, **CLOSE)
    torch.testing.assert_close(adapted.outputs(torch.stack([phi, phi]), x)[1], expected, **CLOSE)


@pytest.mark.parametrize("train_a", [False, True])
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(3, 4), (2, 3)),
        (nn.Conv1d(4, 6, 3, padding=1, padding_mode="reflect", stride=2), (2, 4, 8)),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (2, 4, 5, 5)),
        (nn.Conv2d(4, 6, 3, padding="same", dilation=2), (4, 5, 5)),
        (nn.Conv3d(2, 3, 2), (2, 2, 3, 3, 3)),
    ],
)
def test_lora_is_a_low_rank_offset_of_the_weight(module: nn.Module, shape: tuple[int, ...], train_a: bool) -> None:
    module, x = seeded(module), random(*shape)
    adapted = attach(module, LoRA(rank=2, scale=0.5, train_a=train_a), probe=x)
    phi = random(adapted.spec.dim, seed=2)
    named = {name.split(".")[-1]: part for name, part in adapted.spec.split(phi).items()}
    a = adapted.get_buffer("constant_0_a") + named.get("a", 0.0)
    offset = 0.5 * named["b"].numpy() @ a.numpy()
    assert np.linalg.matrix_rank(offset) == 2
    twin = seeded(module)
    with torch.no_grad():
        twin.weight.add_(torch.from_numpy(offset).reshape(twin.weight.shape))
    torch.testing.assert_close(adapted.tail(phi, adapted.head(x)), twin(x), **CLOSE)


@given(full=st.integers(1, 30), dim=st.integers(1, 30), seed=st.integers(0, 2**31))
def test_projections_have_orthonormal_columns(full: int, dim: int, seed: int) -> None:
    full = max(full, dim)
    matrix = orthonormal(full, dim, generator=torch.Generator().manual_seed(seed))
    assert matrix.shape == (full, dim)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(dim), atol=1e-6, rtol=0)


def test_a_projected_phi_is_the_full_one_times_the_matrix(make_case: Any) -> None:
    case, x = make_case("mlp", "film"), make_case("mlp", "film").inputs()
    plain, small = case.attach(), case.attach(dim=4)
    assert [slot.name for slot in small.spec.slots] == ["phi.projected"]
    phi = random(4)
    full = small.get_buffer("projection_0") @ phi
    torch.testing.assert_close(full.norm(), phi.norm())
    torch.testing.assert_close(small.tail(phi, small.head(x)), plain.tail(full, plain.head(x)), **CLOSE)


def test_one_projected_adapter_leaves_the_other_readable() -> None:
    model, x = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)), random(4, 3)
    adapted = attach(model, [Projected(adapter=Film(), dim=3), OutputShift(temperature=False)], probe=x)
    assert [slot.name for slot in adapted.spec.slots] == ["film.projected", "output_shift.shift"]
    phi = torch.zeros(5)
    phi[adapted.spec.slice_of("output_shift.shift")] = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(adapted.tail(phi, adapted.head(x)), model(x) + phi[3:])


def test_adapters_at_one_site_apply_in_order() -> None:
    layer, x = seeded(nn.Linear(3, 2)), random(4, 3)
    for order in (
        [Film(), LoRA()],
        [LoRA(), Film()],
        [OutputShift(), Film()],
        [Film(), InputBias(dim=2), OutputShift()],
    ):
        adapted = attach(layer, order, probe=x)
        phi = 0.5 * random(adapted.spec.dim, seed=4)
        torch.testing.assert_close(adapted.merged(phi)(x), adapted.tail(phi, adapted.head(x)), **CLOSE)
        adapted.detach()


def test_a_projection_does_not_depend_on_the_adapters_beside_it() -> None:
    model, x = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)), random(4, 3)
    matrices = []
    for adapters in ([InputBias(dim=2)], [Film(), InputBias(dim=2)]):
        adapted = attach(model, adapters, probe=x)
        matrices.append(next(t for name, t in adapted.named_buffers() if name.endswith("_matrix")))
        adapted.detach()
    assert torch.equal(*matrices)


def test_origins_tell_settings_sites_and_seeds_apart() -> None:
    def spec(adapter: Any, model: nn.Module | None = None, **kwargs: Any) -> Any:
        return attach(
            model or nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)), adapter, probe=random(4, 3), **kwargs
        ).spec

    named = nn.Sequential()
    named.add_module("first", nn.Linear(3, 5))
    named.add_module("second", nn.Linear(5, 2))
    specs = [
        spec(InputBias(dim=4)),
        spec(InputBias(dim=4, scale=2.0)),
        spec(InputBias(dim=4), seed=1),
        spec(InputBias(dim=4), named),
        spec(InputBias(dim=4), where="1"),
        spec(LoRA()),
        spec(LoRA(), dim=4),
        spec(LoRA(scale=2.0), dim=4),
        spec(LoRA(), dim=4, seed=1),
        spec(Projected(adapter=LoRA(), dim=4)),
    ]
    assert len({one.fingerprint for one in specs}) == len(specs)
    assert json.loads(specs[8].origin) == {
        "adapters": ["LoRA(rank=1, scale=1.0, train_a=False)"],
        "sites": [["0.lora", "Linear", {"b": [5, 1]}], ["1.lora", "Linear", {"b": [2, 1]}]],
        "dim": 4,
        "seed": 1,
    }
    assert json.loads(spec(Film()).origin)["seed"] is None
