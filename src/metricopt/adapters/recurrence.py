"""Recurrent kernels with a gradient."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def recurs(model: nn.Module) -> bool:
    """Whether any module is recurrent."""
    return any(isinstance(module, nn.RNNBase) for module in model.modules())


def differentiable_recurrence(device: torch.device) -> AbstractContextManager[None]:
    """cuDNN goes backward through a recurrent layer in train mode only; PyTorch's own kernels in eval mode as well."""
    return torch.backends.cudnn.flags(enabled=False) if device.type == "cuda" else nullcontext()
