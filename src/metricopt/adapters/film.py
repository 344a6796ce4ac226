"""Feature-wise linear modulation: a gain and a shift per channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor, nn

from .._types import Role
from .adapter import Adapter, Call
from .channels import LINEAR_MAPS, NORMS, along_channels, channel_shape
from .fold import scaled_and_shifted
from .site import Site


@final
@dataclass(frozen=True, kw_only=True)
class Film(Adapter):
    """`(1 + gamma) * output + beta` per channel, behind a Linear, a convolution or a norm.

    With `attach(..., dim=d)` this is the paper's other reading: a context of d numbers that a
    linear generator turns into gains and shifts, as in CAVIA, with a fixed random generator.

    Differs from the paper: gamma is an offset from 1, so that zeros are the trained model.

    >>> Film().shapes(Site(name="conv", module=nn.Conv2d(3, 64, 3)))
    {'gamma': (64,), 'beta': (64,)}
    """

    types: ClassVar[tuple[type[nn.Module], ...]] = (*LINEAR_MAPS, *NORMS)
    roles: ClassVar[Mapping[str, Role]] = {"gamma": "gain", "beta": "bias"}

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        shape = channel_shape(site.module)
        return {"gamma": shape, "beta": shape}

    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        gain = along_channels(1 + params["gamma"], site.module, call.output)
        # In place on the product: the bits of a sum, without another tensor of this size.
        return (call.output * gain).add_(along_channels(params["beta"], site.module, call.output))

    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        return scaled_and_shifted(site.module, 1 + params["gamma"].double(), params["beta"])
