"""Running a plain module for n phis at once without `vmap`, where the module allows it.

A module that no phi enters treats `(n, B, ...)` as `(n * B, ...)`: the population rides in the batch.
`vmap` copies around batch norm and turns a Linear into a batched product; this gives the same
numbers two to five times faster on the CPU. `vmap` remains for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from .channels import CONVOLUTIONS

#: These act on the last axis or on single numbers, so leading axes do not matter.
_ANY_LEADING: frozenset[type[nn.Module]] = frozenset(
    {
        nn.Linear,
        nn.LayerNorm,
        nn.Identity,
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.ELU,
        nn.SELU,
        nn.CELU,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Tanh,
        nn.Sigmoid,
        nn.LogSigmoid,
        nn.Hardtanh,
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Softplus,
        nn.Softsign,
    }
)

#: These treat axis 0 as the batch if the input of one phi has that many axes.
_BATCH_FIRST: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (2, 3),
    nn.BatchNorm2d: (4,),
    nn.BatchNorm3d: (5,),
    nn.GroupNorm: (2, 3, 4, 5),
    nn.MaxPool1d: (3,),
    nn.MaxPool2d: (4,),
    nn.MaxPool3d: (5,),
    nn.AvgPool1d: (3,),
    nn.AvgPool2d: (4,),
    nn.AvgPool3d: (5,),
    nn.AdaptiveAvgPool1d: (3,),
    nn.AdaptiveAvgPool2d: (4,),
    nn.AdaptiveAvgPool3d: (5,),
    **{conv: (2 + dims,) for dims, conv in enumerate(CONVOLUTIONS, start=1)},
}

#: How many numbers of features times phis run at once: about what a core's cache holds, or what fills a GPU.
_CHUNK_NUMBERS = {"cpu": 800_000}
_CHUNK_NUMBERS_ELSEWHERE = 64_000_000


def call_population(
    module: nn.Module, value: Any, each: Callable[[nn.Module, Any], Any], *, ignored: Callable[..., Any]
) -> Any:
    """`module` on `(n, B, ...)`: n calls of it in one, by `each(module, value)` where it is not known what it does.

    Partials of `ignored` are hooks that do nothing at the moment.
    """
    if isinstance(value, Tensor) and not _is_hooked(module, ignored):
        if _ignores_leading_axes(module):
            return module(value)
        if _is_batch_first(module, value.dim() - 1):
            output: Tensor = module(value.flatten(0, 1))
            return output.reshape(*value.shape[:2], *output.shape[1:])
    return each(module, value)


def rides(module: nn.Module, values: Sequence[Any]) -> bool:
    """Whether a module of several arguments takes n batches of rows as one: attention with the rows first."""
    batch_first = isinstance(module, nn.MultiheadAttention) and module.batch_first and not module.training
    return batch_first and all(isinstance(value, Tensor) and value.dim() == 4 for value in values)


def in_one_batch(call: Callable[[dict[str, Any]], Any], values: dict[str, Tensor]) -> Any:
    """`call` of `(n, B, ...)` values as one batch of n B rows; tensors that come back are taken apart again."""
    lead = next(iter(values.values())).shape[:2]
    given = call({name: value.flatten(0, 1) for name, value in values.items()})
    return tree_map_only(Tensor, lambda tensor: tensor.reshape(*lead, *tensor.shape[1:]), given)


def automatic_chunk(features: Any, copies: int) -> int:
    """How many phis to run at once. `features` holds those of `copies` phis."""
    tensors = [leaf for leaf in tree_leaves(features) if isinstance(leaf, Tensor)]
    numbers = sum(tensor.numel() for tensor in tensors) // copies
    device = tensors[0].device.type if tensors else "cpu"
    return max(1, _CHUNK_NUMBERS.get(device, _CHUNK_NUMBERS_ELSEWHERE) // max(1, numbers))


def joined(parts: Sequence[Any]) -> Any:
    """Outputs of several chunks as one, whatever nest of tensors they are."""
    return parts[0] if len(parts) == 1 else tree_map(lambda *tensors: torch.cat(tensors), *parts)


def _is_hooked(module: nn.Module, ignored: Callable[..., Any]) -> bool:
    hooks = [hook for hook in module._forward_hooks.values() if getattr(hook, "func", None) is not ignored]
    return bool(hooks or module._forward_pre_hooks)


def _ignores_leading_axes(module: nn.Module) -> bool:
    return type(module) in _ANY_LEADING or (isinstance(module, _DropoutNd) and not module.training)


def _is_batch_first(module: nn.Module, dims: int) -> bool:
    if isinstance(module, _NormBase) and (module.training or not module.track_running_stats):
        return False
    if type(module) is nn.Flatten:
        return module.start_dim >= 1 and dims >= 2
    return dims in _BATCH_FIRST.get(type(module), ())
