"""Isotonic regression: which neighbours the closest falling sequence puts together."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

#: Rounds in which all blocks merge at once. Few are needed as a rule; what is left then is done one by one.
ROUNDS = 40


def falling_blocks(values: Tensor) -> Tensor:
    """Number of the block of each value: the blocks of the falling sequence closest to `values` in least squares.

    The sequence is the mean of its block everywhere. Pool adjacent violators: two neighbours that rise belong to one
    block, so all that rise can merge at once, in all rows. Linear time.

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
    rows, n = values.shape
    sums = values.reshape(-1).double()
    sizes = torch.ones_like(sums)
    row = torch.arange(rows, device=values.device).repeat_interleave(n)
    label = torch.arange(rows * n, device=values.device)
    for _ in range(ROUNDS):
        means = sums / sizes
        joins = (means[:-1] < means[1:]) & (row[:-1] == row[1:])
        if not bool(joins.any()):
            break
        label, sums, sizes, row = _merge(joins, label, sums, sizes, row)
    else:
        joins = _one_by_one(sums.tolist(), sizes.tolist(), row.tolist()).to(values.device)
        label, sums, sizes, row = _merge(joins, label, sums, sizes, row)
    label = label.reshape(rows, n)
    return label - label[:, :1]


def _merge(
    joins: Tensor, label: Tensor, sums: Tensor, sizes: Tensor, row: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Blocks after each has joined the one in front of it where `joins` says so."""
    starts = F.pad(~joins, (1, 0), value=True)
    group = starts.cumsum(dim=0) - 1
    fewer = row[starts]
    merged = (torch.zeros_like(sums[: len(fewer)]).index_add_(0, group, part) for part in (sums, sizes))
    return group[label], next(merged), next(merged), fewer


def _one_by_one(sums: list[float], sizes: list[float], row: list[int]) -> Tensor:
    """Which blocks join the one in front: the usual stack, linear whatever the values."""
    stack: list[tuple[float, float, int, int]] = []  # sum, size, row, first block
    for k, block in enumerate(zip(sums, sizes, row, strict=True)):
        total, size, own = block
        first = k
        while stack and stack[-1][2] == own and stack[-1][0] * size < total * stack[-1][1]:
            above = stack.pop()
            total, size, first = total + above[0], size + above[1], above[3]
        stack.append((total, size, own, first))
    joins = torch.ones(len(sums), dtype=torch.bool)
    joins[[first for *_, first in stack]] = False
    return joins[1:]
