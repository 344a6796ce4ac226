"""Losses add up thousands of small numbers: float16 and bfloat16 are widened before, autocast is off inside."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")

HALF = (torch.float16, torch.bfloat16)


def full_precision(loss: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """Decorator: `loss(scores, ...)` sees float32 for float16 and bfloat16 scores, and runs outside autocast.

    float32 and float64 stay what they are. The value of half-precision scores is float32, as PyTorch's own losses
    give under autocast: a float16 value would overflow as soon as a gradient scaler multiplies it.

    >>> full_precision(lambda scores: scores)(torch.zeros(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """

    @wraps(loss)
    def run(scores: Tensor, /, *args: P.args, **options: P.kwargs) -> R:
        if scores.dtype in HALF:
            scores = scores.float()
        device = scores.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return loss(scores, *args, **options)
        return loss(scores, *args, **options)

    return run


def full_precision_forward(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same for the `forward(self, scores, targets)` of a loss that is a module."""

    @wraps(forward)
    def run(self: Any, scores: Tensor, *args: Any, **options: Any) -> Tensor:
        return full_precision(lambda wide: forward(self, wide, *args, **options))(scores)

    return run
