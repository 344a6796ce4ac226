"""A few context numbers that move the bias of the first layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._checks import at_least, positive
from .._types import Role
from .adapter import Adapter, Call
from .channels import LINEAR_MAPS, along_channels, channel_shape
from .fold import offset_weights
from .site import Site


@final
@dataclass(frozen=True, kw_only=True)
class InputBias(Adapter):
    """`y = W x + b + scale * R context`, with a fixed random R whose rows have unit norm.

    The paper's "dynamic biases at the input layer"; CAVIA feeds the same numbers beside the input,
    which is this with R learned. With unit rows a unit context moves each channel by a number of
    standard deviation `scale / sqrt(dim)`, whatever the width of the layer.

    It is added behind the first layer, not before it: so it folds exactly into that layer's bias,
    zero padding or not.

    Differs from the paper: the network is trained without context, so R is random and never learned.

    Args:
        dim: how many context numbers there are.
        scale: norm of each row of R.

    >>> InputBias(dim=14).shapes(Site(name="0", module=nn.Linear(100, 30)))
    {'context': (14,)}
    """

    types: ClassVar[tuple[type[nn.Module], ...]] = LINEAR_MAPS
    roles: ClassVar[Mapping[str, Role]] = {"context": "bias"}

    dim: int = 16
    scale: float = 1.0

    def __post_init__(self) -> None:
        at_least("InputBias.dim", self.dim, 1)
        positive("InputBias.scale", self.scale)

    def select(self, sites: Sequence[Site]) -> list[Site]:
        """The first one to run."""
        return sorted(sites, key=lambda site: site.order)[:1]

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        return {"context": (self.dim,)}

    def constants(self, site: Site, generator: torch.Generator) -> dict[str, Tensor]:
        rows = torch.randn(*channel_shape(site.module), self.dim, generator=generator)
        return {"matrix": self.scale * F.normalize(rows, dim=1)}

    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        # F.linear, not matmul: under vmap its result is laid out phi by phi, which what follows needs to be fast.
        bias = F.linear(params["context"], constants["matrix"])
        return call.output + along_channels(bias, site.module, call.output)

    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        return offset_weights(site.module, bias=constants["matrix"].double() @ params["context"].double())
