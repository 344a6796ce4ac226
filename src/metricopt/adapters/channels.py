"""Which axis of a module's output holds its channels."""

from __future__ import annotations

from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._errors import AdapterError

Conv: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS: tuple[type[Any], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS: tuple[type[Any], ...] = (_BatchNorm,)
NORMS: tuple[type[Any], ...] = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)
LINEAR_MAPS: tuple[type[Any], ...] = (nn.Linear, *CONVOLUTIONS)


def channel_shape(module: nn.Module) -> tuple[int, ...]:
    """`(C,)`, or the whole normalised shape of a LayerNorm."""
    match module:
        case nn.Linear():
            return (module.out_features,)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return (module.out_channels,)
        case _BatchNorm():
            return (module.num_features,)
        case nn.GroupNorm():
            return (module.num_channels,)
        case nn.LayerNorm():
            return tuple(module.normalized_shape)
    raise AdapterError(f"{type(module).__name__} has no channels that metricopt knows")


def spatial_dims(module: nn.Module, output: Tensor) -> int:
    """How many axes of the output lie behind the channels: 0 for Linear and LayerNorm."""
    if isinstance(module, nn.Linear | nn.LayerNorm):
        return 0
    if isinstance(module, CONVOLUTIONS):
        return len(module.kernel_size)  # right for unbatched input too
    return output.dim() - 2


def along_channels(values: Tensor, module: nn.Module, output: Tensor) -> Tensor:
    """`values` of `channel_shape`, shaped and typed to broadcast over `output`."""
    tail = spatial_dims(module, output)
    # The cast keeps a float32 phi from promoting a half-precision network.
    return values.reshape(*values.shape, *[1] * tail).to(output.dtype)
