"""How much memory a row costs on its way forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..adapters import AdaptedModel
from . import nests

#: `vmap` and kernels hold some tensors twice.
_MARGIN = 1.5


def bytes_per_row(adapted: AdaptedModel, inputs: Any) -> int:
    """Bytes that one example keeps for the backward pass of one phi; measured, weights not counted.

    What lies in front of phi keeps nothing, but is computed once: its largest tensors count as well.

    Args:
        adapted: in eval mode.
        inputs: one example, with its leading axis.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*adapted.parameters(), *adapted.buffers())}
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    point = torch.zeros_like(adapted.phi).requires_grad_(True)
    with torch.no_grad():
        features = adapted.head(inputs)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = adapted.tail(point, features)
    largest = _largest_output(adapted, inputs)
    del outputs
    return int(_MARGIN * max(sum(seen.values()), 2 * largest, nests.size_in_bytes(features)))


@torch.no_grad()
def _largest_output(adapted: AdaptedModel, inputs: Any) -> int:
    sizes = [0]

    def note(_module: Any, _args: Any, output: Any) -> None:
        sizes.append(nests.size_in_bytes(output))

    handles = [module.register_forward_hook(note) for module in adapted.model.modules()]
    try:
        adapted.tail(torch.zeros_like(adapted.phi), adapted.head(inputs))
    finally:
        for handle in handles:
            handle.remove()
    return max(sizes)
