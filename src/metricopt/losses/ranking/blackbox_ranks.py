"""Ranks with a gradient: how they would change if the scores were pushed."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ..._checks import positive
from ..rows import first_only
from .places import mean_ranks


def blackbox_ranks(scores: Tensor, *, strength: float = 1.0) -> Tensor:
    """Ranks, 1 for the highest score; backward `-(rk(s) - rk(s + lambda g)) / lambda` for the gradient g in the ranks.

    The derivative of a rank is zero almost everywhere. This is instead the slope of a continuous interpolation of
    whatever is computed from the ranks: one more sort, with the scores pushed where lower ranks would help.

    Args:
        scores: `(rows, n)`. Items of equal score share the mean of their ranks.
        strength: how far the most pushed item of a row moves, in units of scores: `lambda = strength / max |g|`.

    Raises:
        ConfigError: a strength that is not positive.

    Differs from the paper (Rolinek et al., CVPR 2020, after Vlastelica et al., ICLR 2020): lambda is set for each row
    by `strength`, where it is one constant there. So the gradient is proportional to g: the size of a batch, a weight
    or a gradient scaler behind the ranks does not change its direction.

    Beside the authors' code with this lambda, n = 4,096, float32: ranks equal, gradient to 9e-5 (it divides the ranks
    by n and rounds).

    >>> s = torch.tensor([[0.3, 0.9, 0.1]], requires_grad=True)
    >>> ranks = blackbox_ranks(s, strength=0.5)
    >>> ranks[0, 2].backward()
    >>> ranks.tolist(), s.grad.tolist()  # to lower the rank of the last one, raise it above the first
    ([[2.0, 1.0, 3.0]], [[2.0, 0.0, -2.0]])
    """
    return cast(Tensor, _Ranks.apply(scores, positive("strength", strength)))  # type: ignore[no-untyped-call]


class _Ranks(torch.autograd.Function):
    @staticmethod
    def forward(scores: Tensor, strength: float) -> Tensor:
        return mean_ranks(scores)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        scores, ranks = ctx.saved_tensors
        size = upstream.abs().amax(dim=-1, keepdim=True)
        push = upstream * (ctx.strength / torch.where(size > 0, size, 1.0))
        pushed = _Ranks.apply(scores + push, ctx.strength)  # type: ignore[no-untyped-call]
        return first_only(scores, (pushed - ranks) / ctx.strength, size[..., 0]), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], scores: Tensor, strength: float) -> Any:
        scores = scores.movedim(in_dims[0], 0)
        ranks = _Ranks.apply(scores.flatten(0, 1).contiguous(), strength)  # type: ignore[no-untyped-call]
        return ranks.reshape(scores.shape), 0
