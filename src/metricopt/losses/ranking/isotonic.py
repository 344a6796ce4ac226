"""Isotonic regression: which neighbours the closest falling sequence puts together."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F


def falling_blocks(values: Tensor) -> Tensor:
    """Number of the block of each value: the blocks of the falling sequence closest to `values` in least squares.

    The sequence is the mean of its block everywhere. Linear time, by scikit-learn's compiled pool of adjacent
    violators on the CPU, in one call for all rows.

    Args:
        values: `(rows, n)`.

    Returns:
        `(rows, n)` integers, counted from 0 in each row.

    >>> falling_blocks(torch.tensor([[5.0, 1.0, 3.0, 0.0]]))
    tensor([[0, 1, 1, 2]])
    """
    return cast(Tensor, _Blocks.apply(values.detach()))  # type: ignore[no-untyped-call]


class _Blocks(torch.autograd.Function):
    """No gradient; it is here for its rule of `vmap`: a population is more rows."""

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return _pool(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], values: Tensor) -> Any:
        values = values.movedim(in_dims[0], 0)
        blocks = _Blocks.apply(values.flatten(0, 1).contiguous())  # type: ignore[no-untyped-call]
        return blocks.reshape(values.shape), 0


def _pool(values: Tensor) -> Tensor:
    from sklearn.isotonic import isotonic_regression  # slow to import

    wide = values.double()
    # Each row lies below the one before, so that one falling sequence through all rows never joins two of them.
    apart = wide.max() - wide.min() + 1
    level = torch.arange(len(wide), dtype=torch.float64, device=wide.device)[:, None] * apart
    fit = isotonic_regression((level - wide).flatten().cpu().numpy())  # a falling fit is a rising one upside down
    fitted = torch.from_numpy(fit).reshape(wide.shape).to(values.device)
    starts = fitted[:, 1:] != fitted[:, :-1]  # all of a block have one and the same number
    return F.pad(starts.cumsum(dim=-1), (1, 0))
