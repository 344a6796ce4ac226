"""Conditional normalisation: offsets of a norm's own affine weight and bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._errors import AdapterError
from .._types import Role
from .adapter import Adapter, Call
from .channels import NORMS, along_channels, channel_shape
from .fold import offset_weights
from .site import Site


@final
@dataclass(frozen=True, kw_only=True)
class ConditionalNorm(Adapter):
    """`normalised(x) * (w + weight) + (b + bias)` for batch, layer and group norm.

    A norm without affine weights counts as `w = 1, b = 0`. In train mode batch norm normalises by
    the statistics of the batch, and so does the offset; running statistics move once per call, as ever.

    >>> ConditionalNorm().shapes(Site(name="bn", module=nn.BatchNorm2d(8, affine=False)))
    {'weight': (8,), 'bias': (8,)}
    """

    types: ClassVar[tuple[type[nn.Module], ...]] = NORMS
    roles: ClassVar[Mapping[str, Role]] = {"weight": "gain", "bias": "bias"}
    reads_input: ClassVar[bool] = True

    def shapes(self, site: Site) -> dict[str, tuple[int, ...]]:
        shape = channel_shape(site.module)
        return {"weight": shape, "bias": shape}

    def apply(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor], call: Call) -> Tensor:
        output = call.output
        normalised = _normalised(site.module, call.input).to(output.dtype)
        offset = normalised * along_channels(params["weight"], site.module, output)
        return output + offset + along_channels(params["bias"], site.module, output)

    def fold(self, site: Site, params: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> nn.Module:
        return offset_weights(site.module, weight=params["weight"], bias=params["bias"])


def _normalised(module: nn.Module, x: Tensor) -> Tensor:
    """The output of the norm before its affine part."""
    match module:
        case _BatchNorm():
            from_batch = module.training or module.running_mean is None
            mean, variance = (None, None) if from_batch else (module.running_mean, module.running_var)
            # No running statistics in train mode: the module has moved them already.
            return F.batch_norm(x, mean, variance, training=from_batch, eps=module.eps)
        case nn.LayerNorm():
            return F.layer_norm(x, module.normalized_shape, eps=module.eps)
        case nn.GroupNorm():
            return F.group_norm(x, module.num_groups, eps=module.eps)
    raise AdapterError(f"conditional_norm does not know how {type(module).__name__} normalises")
