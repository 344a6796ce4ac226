"""Low-rank offsets of a weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._checks import at_least, positive
from .._errors import AdapterError
from .._types import Role
from .adapter import Adapter, Call
from .channels import CONVOLUTIONS, LINEAR_MAPS, Conv
from .fold import offset_weights
from .site import Site


@final
@dataclass(frozen=True, kw_only=True)
class LoRA(Adapter):
    """`y = W x + scale * B A x`: a fixed random A of `rank` rows, and B from phi.

    B = 0 is the identity, and the gradient there is not zero. A convolution's weight counts as a
    matrix of `out_channels` rows. Entries of A have variance `1 / fan_in`, so `A x` is as large as x.

    Differs from LoRA as published: A stays as it was drawn unless `train_a`; then phi holds an
    offset of it too.

    Args:
        rank: rows of A.
        scale: of the whole offset.
        train_a: whether phi holds an offset of A as well.

    >>> LoRA(rank=2).shapes(Site(name="fc", module=nn.Linear(10, 3)))
    {'b': (3, 2)}
    """

    types: ClassVar[tuple[type[nn.Module], ...]] = LINEAR_MAPS
    roles: ClassVar[Mapping[str, Role]] = {"a": "low-rank", "b": "low-rank"}
    reads_input: ClassVar[bool] = True

    rank: int = 1
    scale: float = 1.0
    train_a: bool = False

    def __post_init__(self) -> None:
        at_least("LoRA.rank", self.rank, 1)
        positive("LoRA.scale", self.scale)

    @classmethod
    def kind(cls) -> str:
        return "lora"

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        out, *fan_in = _weight_shape(site.module)
        b = {"b": (out, self.rank)}
        return {**b, "a": (self.rank, math.prod(fan_in))} if self.train_a else dict(b)

    def constants(self, site: Site, generator: torch.Generator) -> dict[str, Tensor]:
        fan_in = math.prod(_weight_shape(site.module)[1:])
        return {"a": torch.randn(self.rank, fan_in, generator=generator) / math.sqrt(fan_in)}

    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        module, x, dtype = site.module, call.input, call.output.dtype
        a = (constants["a"] + params["a"] if self.train_a else constants["a"]).to(x.dtype)
        b = self.scale * params["b"]
        if isinstance(module, CONVOLUTIONS):
            return call.output + _convolved(module, x, a, b).to(dtype)
        return call.output + F.linear(F.linear(x, a), b.to(x.dtype)).to(dtype)

    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        a = constants["a"].double() + (params["a"].double() if self.train_a else 0.0)
        offset = self.scale * params["b"].double() @ a
        return offset_weights(site.module, weight=offset.reshape(_weight_shape(site.module)))


def _weight_shape(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, nn.Linear):
        return (module.out_features, module.in_features)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
    raise AdapterError(f"lora does not know the weight of {type(module).__name__}")


def _convolved(module: Conv, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The convolution of `x` with the weight `b a`."""
    out, *kernel = _weight_shape(module)
    if module.groups > 1:
        weight = (b.to(a.dtype) @ a).reshape(out, *kernel)
        grouped: Tensor = module._conv_forward(x, weight, None)
        return grouped
    # Through the low rank: `rank` channels first, then a mix of them.
    hidden: Tensor = module._conv_forward(x, a.reshape(-1, *kernel), None)
    mixed = b.to(hidden.dtype) @ hidden.flatten(-len(module.kernel_size))
    return mixed.reshape(*mixed.shape[:-1], *hidden.shape[-len(module.kernel_size) :])
