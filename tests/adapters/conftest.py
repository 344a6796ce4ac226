"""Small models of many shapes, and every adapter that fits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metricopt.adapters import (
    AdaptedModel,
    ConditionalNorm,
    Film,
    InputBias,
    LoRA,
    OutputShift,
    Projected,
    attach,
)


class Residual(nn.Module):
    """One Linear used twice, a skip connection, and a list of modules beside the registered ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.shared = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 3)
        self.order = [self.shared, self.shared]

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.order:
            x = x + torch.tanh(layer(self.norm(x)))
        return self.last(x)


class OneScore(nn.Module):
    """Binary scores of shape (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 7), nn.ReLU())
        self.score = nn.Linear(7, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.body(x)).squeeze(-1)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, 8)
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x)).mean(dim=1))


def mlp() -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, fan_out in ((6, 8), (8, 5)):
        layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.LeakyReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(5, 1))


def nested() -> nn.Module:
    body = nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU()), nn.Linear(8, 8, bias=False))
    return nn.Sequential(nn.Identity(), body, nn.BatchNorm1d(8, affine=False), nn.SiLU(inplace=True), nn.Linear(8, 4))


def conv2d() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, groups=2, bias=False),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def conv1d() -> nn.Module:
    first = nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular")
    return nn.Sequential(first, nn.BatchNorm1d(4), nn.Tanh(), nn.Conv1d(4, 3, 2, stride=2))


def conv3d() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 3, 2), nn.BatchNorm3d(3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))


#: Name -> (builder, shape of one batch of inputs).
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 3), (9, 6)),
    "mlp": (mlp, (9, 6)),
    "nested": (nested, (9, 6)),
    "residual": (Residual, (9, 6)),
    "one score": (OneScore, (9, 6)),
    "transformer": (Transformer, (4, 7, 5)),
    "conv1d": (conv1d, (4, 2, 8)),
    "conv2d": (conv2d, (4, 3, 8, 8)),
    "conv3d": (conv3d, (4, 1, 3, 3, 3)),
}

#: Name -> (adapters, arguments of attach).
ADAPTER_SETS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "input_bias": ([InputBias(dim=5)], {}),
    "output_shift": ([OutputShift()], {}),
    "shift only": ([OutputShift(temperature=False)], {}),
    "film": ([Film()], {}),
    "conditional_norm": ([ConditionalNorm()], {}),
    "lora": ([LoRA(rank=2, scale=0.5)], {}),
    "lora with a": ([LoRA(train_a=True)], {}),
    "bias and shift": ([InputBias(dim=4, scale=0.5), OutputShift()], {}),
    "film projected": ([Projected(adapter=Film(), dim=4), OutputShift()], {}),
    "all projected": ([InputBias(dim=3), LoRA(), Film(), OutputShift()], {"dim": 7}),
}

_WITHOUT_NORM = ("linear", "one score")


@dataclass(frozen=True)
class Case:
    """A model and adapters that fit it."""

    model_name: str
    adapters_name: str

    def model(self, seed: int = 0) -> nn.Module:
        """Always the same weights for the same seed; statistics of norms are not the initial ones."""
        return build(self.model_name, seed)

    def inputs(self, seed: int = 1) -> Tensor:
        return torch.randn(MODELS[self.model_name][1], generator=torch.Generator().manual_seed(seed))

    def attach(self, model: nn.Module | None = None, **kwargs: Any) -> AdaptedModel:
        adapters, settings = ADAPTER_SETS[self.adapters_name]
        return attach(model or self.model(), adapters, **{"probe": self.inputs(), **settings, **kwargs})


def build(name: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS[name][0]()
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2.0)
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
                    for parameter in module.parameters(recurse=False):
                        parameter.normal_()
    return model.eval()


CASES = [
    Case(model, adapters)
    for model in MODELS
    for adapters in ADAPTER_SETS
    if not (adapters == "conditional_norm" and model in _WITHOUT_NORM)
]


@pytest.fixture(params=CASES, ids=lambda c: f"{c.model_name}-{c.adapters_name}", scope="session")
def case(request: pytest.FixtureRequest) -> Case:
    """Each model with each set of adapters that fits it."""
    value: Case = request.param
    return value


@pytest.fixture(params=MODELS, scope="session")
def model_case(request: pytest.FixtureRequest) -> Case:
    """Each model, with an input bias and an output shift."""
    return Case(request.param, "bias and shift")


@pytest.fixture(scope="session")
def make_case() -> Callable[[str, str], Case]:
    """A case by the names of model and adapters."""
    return Case
