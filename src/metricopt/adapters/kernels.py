"""Kernels that have what is asked of them: rules for `vmap`, and gradients in eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.backends import mha
from torch.nn.attention import SDPBackend, sdpa_kernel


def may_attend(model: nn.Module) -> bool:
    """Whether any module is an attention, or not one of torch's own, which may call one."""
    return any(
        isinstance(module, nn.MultiheadAttention) or not type(module).__module__.startswith("torch.nn.modules.")
        for module in model.modules()
    )


def is_transformed(phi: Tensor) -> bool:
    """Whether `phi` is inside `torch.func.vmap` or `grad`."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(phi))


@contextmanager
def transformable_attention(device: torch.device) -> Iterator[None]:
    """Attention by plain operations where the fused kernels know no `vmap`.

    The fused multi-head kernel has neither a batching rule nor a gradient, and the flash kernel of
    the CPU no batching rule: torch would warn and fall back to a loop.
    """
    fused = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        if device.type == "cpu":
            with sdpa_kernel(SDPBackend.MATH):
                yield
        else:
            yield
    finally:
        mha.set_fastpath_enabled(fused)


def recurs(model: nn.Module) -> bool:
    """Whether any module is recurrent."""
    return any(isinstance(module, nn.RNNBase) for module in model.modules())


def differentiable_recurrence(device: torch.device) -> AbstractContextManager[None]:
    """cuDNN goes backward through a recurrent layer in train mode only; PyTorch's own kernels in eval mode as well."""
    return torch.backends.cudnn.flags(enabled=False) if device.type == "cuda" else nullcontext()
