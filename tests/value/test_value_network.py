"""The network: its shape, its ensembles, its scales, its frozen form, its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from metricopt._errors import CheckpointError, ConfigError, FingerprintMismatch
from metricopt._phi import PhiSpec, Slot
from metricopt._random import generator
from metricopt.value import ValueFunction

NORMS = ("batch", "layer", "none")


def _value(dim: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float64, **options: object) -> ValueFunction:
    """A network with uneven scales, gains and running statistics, so that nothing is folded by luck."""
    value = ValueFunction(dim, generator=generator(seed, "net"), **options).to(dtype)  # type: ignore[arg-type]
    stream = generator(seed, "points")
    phis = torch.randn(64, dim, generator=stream, dtype=dtype) * torch.linspace(0.5, 3, dim, dtype=dtype) + 0.3
    value.set_scale(phis, 0.2 + 0.5 * torch.rand(64, generator=stream, dtype=dtype))
    with torch.no_grad():
        for p in value.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=stream, dtype=dtype) * p.abs().mean())
    value.calibrate(phis)
    return value.eval()


def _points(count: int, dim: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, dim, generator=generator(1, "more"), dtype=dtype)


def test_the_default_is_the_papers_architecture() -> None:
    value = ValueFunction(16, generator=generator(0))
    widths = [tuple(layer.weight.shape[1:]) for layer in value.layers]  # type: ignore[union-attr, index]
    assert widths == [(64, 16), (32, 64), (32, 32), (16, 32)]
    assert value.head_weight.shape == (1, 1, 16)
    assert value.norm == "batch"


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_equals_a_sequence_of_torch_modules(norm: str, training: bool) -> None:
    value = _value(norm=norm, hidden=(7, 4)).train(training)
    modules: list[nn.Module] = []
    for layer in value.layers:
        width, inputs = layer.weight.shape[1:]  # type: ignore[union-attr, index]
        linear = nn.Linear(inputs, width, dtype=torch.float64)
        linear.load_state_dict({"weight": layer.weight[0], "bias": layer.bias[0]})  # type: ignore[index]
        modules.append(linear)
        if norm != "none":
            module = nn.BatchNorm1d(width) if norm == "batch" else nn.LayerNorm(width)
            module = module.double()
            state = {"weight": layer.gain[0], "bias": layer.shift[0]}  # type: ignore[index]
            if norm == "batch":
                state |= {"running_mean": layer.running_mean[0], "running_var": layer.running_var[0]}  # type: ignore[index]
            module.load_state_dict(state, strict=False)
            modules.append(module)
        modules.append(nn.ReLU())
    trunk = nn.Sequential(*modules).train(training)
    x = _points(9)
    embedding = trunk((x - value.phi_mean) / value.phi_scale)
    expected = embedding @ value.head_weight[0, 0] + value.head_bias[0, 0]
    estimate, got = value(x)
    torch.testing.assert_close(got, embedding, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(estimate, expected * value.utility_scale + value.utility_mean, atol=1e-12, rtol=1e-12)
    if norm == "batch":
        torch.testing.assert_close(value.layers[0].running_mean[0], trunk[1].running_mean)  # type: ignore[index, union-attr]
        torch.testing.assert_close(value.layers[1].running_var[0], trunk[4].running_var)  # type: ignore[index, union-attr]


@pytest.mark.parametrize("norm", NORMS)
def test_members_are_independent_networks(norm: str) -> None:
    three = _value(norm=norm, members=3).train()
    x = _points(10)
    estimates, embeddings = three.members_forward(x)
    for index in range(3):
        one = ValueFunction(5, norm=norm, generator=generator(0)).double().train()  # type: ignore[arg-type]
        state = {
            name: tensor if name.startswith(("phi", "utility")) else tensor[index : index + 1]
            for name, tensor in three.state_dict().items()
        }
        one.load_state_dict(state)
        got, embedding = one.members_forward(x)
        torch.testing.assert_close(estimates[index], got[0], atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(embeddings[index], embedding[0], atol=1e-12, rtol=1e-12)
    three.eval()
    estimate, embedding = three(x)
    each, parts = three.members_forward(x)
    torch.testing.assert_close(estimate, each.mean(dim=0))
    torch.testing.assert_close(embedding, torch.cat(list(parts), dim=-1))
    torch.testing.assert_close(three.spread(x), each.std(dim=0, correction=0))
    assert bool((three.spread(x) > 0).all())
    assert _value(norm=norm).spread(x).abs().max() == 0


def test_leading_dimensions_are_kept() -> None:
    value = _value(members=2)
    x = _points(12).reshape(3, 4, 5)
    estimate, embedding = value(x)
    assert estimate.shape == (3, 4)
    assert embedding.shape == (3, 4, 32)
    torch.testing.assert_close(estimate.flatten(), value(x.reshape(12, 5))[0])
    assert value(x[0, 0])[0].shape == ()
    assert value.frozen()(x).shape == (3, 4)
    assert value.frozen().gradient(x).shape == x.shape
    for wrong in (torch.zeros(3, 4), torch.tensor(1.0)):
        with pytest.raises(ConfigError, match="must end in dimension 5"):
            value(wrong)
        with pytest.raises(ConfigError, match="must end in dimension 5"):
            value.frozen()(wrong)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_frozen_equals_forward_in_eval_mode(norm: str, members: int, dtype: torch.dtype, tolerance: float) -> None:
    value = _value(norm=norm, members=members, dtype=dtype)
    frozen = value.frozen()
    x = _points(50, dtype=dtype).requires_grad_()
    expected, got = value(x)[0], frozen(x)
    torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(frozen.members_estimates(x), value.members_forward(x)[0], atol=tolerance * 10, rtol=0)
    torch.testing.assert_close(frozen.spread(x), value.spread(x), atol=tolerance * 10, rtol=0)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    (frozen_slope,) = torch.autograd.grad(got.sum(), x)
    assert float(slope.abs().max()) > 1e-3
    torch.testing.assert_close(frozen_slope, slope, atol=tolerance * 10, rtol=0)
    torch.testing.assert_close(frozen.gradient(x), slope, atol=tolerance * 10, rtol=0)
    assert not frozen.gradient(x).requires_grad


def test_frozen_works_under_vmap_and_grad() -> None:
    value = _value()
    x = _points(6)
    slopes = torch.func.vmap(torch.func.grad(lambda p: value.frozen()(p[None])[0]))(x)
    torch.testing.assert_close(slopes, value.frozen().gradient(x), atol=1e-12, rtol=0)


def test_frozen_does_not_follow_later_training() -> None:
    value = _value()
    frozen = value.frozen()
    x = _points(4)
    before = frozen(x)
    with torch.no_grad():
        for p in value.parameters():
            p.mul_(2.0)
    assert torch.equal(frozen(x), before)
    assert not torch.allclose(value(x)[0], before)


def test_scale_has_a_floor_for_a_coordinate_that_never_moved() -> None:
    value = ValueFunction(3, generator=generator(0)).double()
    phis = torch.tensor([[-1.0, 5.0, 0.0], [1.0, 5.0, 0.0]])
    value.set_scale(phis, torch.tensor([0.2, float("nan"), 0.4]))
    typical = (1 / 3) ** 0.5
    torch.testing.assert_close(value.phi_scale, torch.tensor([1.0, 0.1 * typical, 0.1 * typical]).double())
    assert value.phi_mean.tolist() == [0.0, 5.0, 0.0]
    torch.testing.assert_close(value.utility_mean, torch.tensor(0.3).double())
    torch.testing.assert_close(value.utility_scale, torch.tensor(0.1).double())
    value.set_scale(torch.ones(4, 3), torch.full((4,), 0.5))
    assert float(value.phi_scale.min()) > 0
    assert float(value.utility_scale) == pytest.approx(1e-3)
    with pytest.raises(ConfigError, match="at least one phi and one utility"):
        value.set_scale(phis, torch.tensor([float("nan")]))


def test_calibrate_makes_eval_equal_training_on_those_points() -> None:
    value = _value(members=2)
    x = 3 * _points(2000) + 1
    value.train()
    expected = value.members_forward(x, momentum=0.0)[0]
    value.eval()
    assert not torch.allclose(value.members_forward(x)[0], expected, atol=1e-3)
    value.calibrate(x)
    assert not value.training
    # Running variances are unbiased, those of a batch are not: they differ by one part in 2000 per layer.
    torch.testing.assert_close(value.members_forward(x)[0], expected, atol=2e-3, rtol=0)


def test_one_point_in_training_mode_uses_running_statistics() -> None:
    value = _value().train()
    x = _points(1)
    got = value(x)[0]
    torch.testing.assert_close(got, value.eval()(x)[0])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_gives_back_every_bit(tmp_path: Path, norm: str, dtype: torch.dtype) -> None:
    value = _value(norm=norm, members=2, hidden=(6, 3), fingerprint="abc", dtype=dtype)
    value.save(tmp_path / "v")
    loaded = ValueFunction.load(tmp_path / "v")
    assert loaded.settings() == value.settings()
    assert not loaded.training
    for name, tensor in value.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    x = _points(5, dtype=dtype)
    assert torch.equal(loaded(x)[0], value(x)[0])


def test_loading_for_another_phi_is_an_error(tmp_path: Path) -> None:
    spec = PhiSpec(slots=(Slot(name="a", shape=(5,)),))
    _value(fingerprint=spec.fingerprint).save(tmp_path / "v")
    assert ValueFunction.load(tmp_path / "v", spec=spec).dim == 5
    with pytest.raises(FingerprintMismatch, match="the value function in .* was made for a phi with fingerprint"):
        ValueFunction.load(tmp_path / "v", spec=PhiSpec(slots=(Slot(name="a", shape=(5,)),), origin="other"))
    with pytest.raises(CheckpointError, match="cannot read"):
        ValueFunction.load(tmp_path / "w")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": ()}, "at least one width"),
        ({"hidden": (4, 0)}, "hidden width must be"),
        ({"norm": "instance"}, "norm must be one of batch, layer, none"),
        ({"members": 0}, "members must be"),
    ],
)
def test_bad_settings(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ValueFunction(4, generator=generator(0), **options)  # type: ignore[arg-type]


def test_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(0)
    a = ValueFunction(4, generator=generator(3))
    torch.manual_seed(1)
    b = ValueFunction(4, generator=generator(3))
    c = ValueFunction(4, generator=generator(4))
    assert torch.equal(a.head_weight, b.head_weight)
    assert not torch.equal(a.head_weight, c.head_weight)
