"""Variables of the other player: a minimising optimiser makes them maximise."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def ascending(dual: Tensor, *, rate: float = 1.0) -> Tensor:
    """`max(0, dual)`, with a gradient that points the other way.

    An optimiser that descends the loss so ascends it in `dual`, `rate` times as fast, and `dual` stays at zero or
    above: at zero only what raises it passes. (A step may leave it below zero; it counts as zero, and can return.)

    >>> dual = torch.tensor([2.0, -1.0, -1.0], requires_grad=True)
    >>> (ascending(dual, rate=0.5) * torch.tensor([4.0, 4.0, -4.0])).sum().backward()
    >>> dual.grad
    tensor([-2., -2.,  0.])
    """
    return cast(Tensor, _Ascending.apply(dual, rate))  # type: ignore[no-untyped-call]


class _Ascending(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(dual: Tensor, rate: float) -> Tensor:
        return dual.clamp(min=0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.rate = inputs[1]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (dual,) = ctx.saved_tensors
        return torch.where((dual > 0) | (upstream > 0), -ctx.rate * upstream, 0.0), None
