"""Models with a forward of their own: what lies in front of phi is found, exactly, or the model is left whole."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metricopt.adapters import ConditionalNorm, Film, LoRA, OutputShift, attach


class Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.more = out - width

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
        return F.relu(y + x, inplace=True)


class ResNet(nn.Module):
    """Sizes asked of tensors, slices, padding, in-place operations, a view."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
        self.layer2 = nn.Sequential(Block(4, 8, 2), Block(8, 8, 1))
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        x = self.layer2(self.layer1(F.relu(self.stem(x))))
        x = F.avg_pool2d(x, x.size(3))
        return self.linear(x.view(batch, -1))


class Tokens(nn.Module):
    """Parameters used outside modules, chunks, two arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.place, self.first = nn.Parameter(torch.randn(1, 4, 6)), nn.Parameter(torch.randn(1, 1, 6))
        self.norm1, self.norm2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.both, self.out = nn.Linear(6, 12), nn.Linear(6, 2)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        x = torch.cat([self.first.expand(x.size(0), -1, -1), x], dim=1) + self.place
        left, right = self.both(self.norm1(x)).chunk(2, dim=-1)
        x = x + left * torch.sigmoid(right) * scale[:, None, None]
        return self.out(self.norm2(x)[:, 0])


class Looks(nn.Module):
    """Looks at values: cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.b(x if x.sum() > 0 else -x)


def image() -> Tensor:
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def trained(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return model.eval()


@pytest.mark.parametrize(
    ("adapters", "where"),
    [
        ([Film()], {"film": "layer2.*"}),
        ([Film(), OutputShift()], {"film": "layer2.1.bn2"}),
        ([ConditionalNorm()], {"conditional_norm": "layer2.*"}),
        ([LoRA(), OutputShift()], {"lora": "linear"}),
        ([OutputShift()], None),
    ],
)
def test_a_residual_net_is_split_and_gives_what_the_model_gives(adapters: list, where: dict | None) -> None:
    torch.manual_seed(0)
    model, x = trained(ResNet()), image()
    twin = copy.deepcopy(model)
    adapted = attach(model, adapters, where=where, probe=x[:3])
    assert adapted.splits
    features = adapted.head(x)
    phis = 0.3 * torch.randn(4, adapted.spec.dim, generator=torch.Generator().manual_seed(1))
    wide = adapted.outputs(phis, features)
    for phi, scores in zip(phis, wide, strict=True):
        with torch.no_grad():
            adapted.phi.copy_(phi)
        torch.testing.assert_close(adapted(x), scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(adapted.tail(phi, features), scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(adapted.merged(phi)(x), scores, rtol=1e-4, atol=1e-5)
    point = phis.clone().requires_grad_()
    (grad,) = torch.autograd.grad(adapted.outputs(point, features).square().sum(), point)
    one = phis[2].clone().requires_grad_()
    (alone,) = torch.autograd.grad(adapted.tail(one, features).square().sum(), one)
    torch.testing.assert_close(grad[2], alone, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(adapted.detach()(x), twin(x), rtol=0, atol=0)


def test_what_lies_in_front_of_the_last_stage_runs_once() -> None:
    model, x = trained(ResNet()), image()
    adapted = attach(model, Film(), where="layer2.*", probe=x[:3])
    calls: list[str] = []
    features = adapted.head(x)
    for name in ("stem", "layer1.0.conv1", "layer2.0.conv2"):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    adapted.outputs(torch.zeros(3, adapted.spec.dim), features)
    assert set(calls) == {"layer2.0.conv2"}


def test_several_values_may_cross_over() -> None:
    torch.manual_seed(0)
    model, inputs = Tokens().eval(), (torch.randn(5, 3, 6), torch.rand(5))
    adapted = attach(model, ConditionalNorm(), where="norm1", probe=inputs)
    features = adapted.head(inputs)
    phis = 0.3 * torch.randn(3, adapted.spec.dim)
    for phi, scores in zip(phis, adapted.outputs(phis, features), strict=True):
        torch.testing.assert_close(adapted.merged(phi)(*inputs), scores, rtol=1e-4, atol=1e-5)
    by_name = {"x": inputs[0], "scale": inputs[1]}
    named = attach(Tokens().eval(), ConditionalNorm(), where="norm2", probe=by_name)
    assert named.splits
    assert isinstance(named.head(by_name), Tensor)


@pytest.mark.parametrize("norm_first", [True, False])
def test_encoders_of_torch_are_looked_into(norm_first: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=norm_first, activation="gelu")
            self.body = nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(8), enable_nested_tensor=False)
            self.last = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.body(x).mean(dim=1))

    torch.manual_seed(0)
    model, x = Net().eval(), torch.randn(6, 5, 8)
    adapted = attach(model, [ConditionalNorm(), OutputShift()], where={"conditional_norm": "body.layers.2.*"}, probe=x)
    assert adapted.splits
    ran = {step.run for step in adapted._program.prefix if step.kind == "module"}
    assert model.body.layers[1].linear2 in ran  # the blocks in front of the last one
    phis = 0.3 * torch.randn(4, adapted.spec.dim)
    features = adapted.head(x)
    for phi, scores in zip(phis, adapted.outputs(phis, features), strict=True):
        torch.testing.assert_close(adapted.merged(phi)(x), scores, rtol=1e-4, atol=1e-5)
    point = phis.clone().requires_grad_()
    adapted.outputs(point, features).square().sum().backward()
    assert bool((point.grad != 0).any(dim=1).all())


def test_code_that_looks_at_values_is_not_traced_but_played_back() -> None:
    torch.manual_seed(0)
    model, x = Looks().eval(), torch.randn(6, 4)
    adapted = attach(model, Film(), where="b", probe=x)
    assert [type(step.run).__name__ for step in adapted._program.rest] == ["Replayed"]
    phi = 0.3 * torch.ones(1, adapted.spec.dim)
    torch.testing.assert_close(
        adapted.outputs(phi, adapted.head(x))[0], adapted.merged(phi[0])(x), rtol=1e-4, atol=1e-5
    )


def test_in_training_mode_the_model_itself_runs() -> None:
    class Drops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 50), nn.Linear(50, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.dropout(self.a(x), 0.5, self.training))

    model, x = Drops().eval(), torch.ones(3, 4)
    adapted = attach(model, Film(), where="b", probe=x)
    assert adapted.splits
    adapted.train()
    first, second = (adapted.tail(torch.zeros(4), adapted.head(x)) for _ in range(2))
    assert not torch.equal(first, second)


def test_hooks_of_the_user_keep_seeing_what_the_adapter_gives() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4)
    seen: list[Tensor] = []
    model[2].register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    adapted = attach(model, Film(), where="2", probe=x)
    seen.clear()
    adapted.tail(torch.ones(4), adapted.head(x))
    assert len(seen) == 1
