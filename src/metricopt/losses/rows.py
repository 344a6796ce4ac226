"""Rows of independent problems: one column of scores each, solved together, averaged where they count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from .._errors import ConfigError
from .shapes import as_columns

#: `(scores (rows, ...), truth (rows, ...)) -> values (rows,), gradients like the scores`.
Solve = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def as_rows(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(C, n)` scores and `(C, n)` truth in {0, 1}: each column of `as_columns` as one row of n examples.

    >>> as_rows(torch.zeros(2), torch.tensor([0, 1]))[1]
    tensor([[0., 1.]])
    """
    columns, truth, _ = as_columns(scores, targets)
    return columns.mT.contiguous(), truth.mT.contiguous()


def has_both(truth: Tensor) -> Tensor:
    """`(rows,)`: whether a row has positives and negatives."""
    return (truth > 0).any(dim=-1) & (truth <= 0).any(dim=-1)


def mean_where(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of `values (rows,)` over the rows that count; 0 without a gradient where none does."""
    return torch.where(counts, values, 0.0).sum() / counts.sum().clamp(min=1)


def solve_rows(scores: Tensor, truth: Tensor, solve: Solve) -> Tensor:
    """The values `(rows,)` of `solve`, which computes its own gradient in the same pass.

    For losses over pairs: what autograd would keep of every pair need not be kept. `solve` sees plain tensors, also
    under `vmap`, where the population becomes more rows. So it may cut its work into blocks and look at values.

    Args:
        scores: `(rows, ...)`.
        truth: `(rows, ...)`, constant.
        solve: the values of the rows, and the gradient of each with respect to its own row of scores.

    Raises:
        ConfigError: a second derivative is asked for: only the first is computed.
    """
    values, _ = _Solved.apply(scores, truth, solve)  # type: ignore[no-untyped-call]
    return cast(Tensor, values)


class _Solved(torch.autograd.Function):
    @staticmethod
    def forward(scores: Tensor, truth: Tensor, solve: Solve) -> tuple[Tensor, Tensor]:
        return solve(scores, truth)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(inputs[0], output[1])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Any) -> Any:
        scores, gradients = ctx.saved_tensors
        return first_only(scores, gradients, upstream), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], scores: Tensor, truth: Tensor, solve: Solve) -> Any:
        size = info.batch_size
        scores, truth = (
            batch.expand(size, *batch.shape) if dim is None else batch.movedim(dim, 0)
            for batch, dim in ((scores, in_dims[0]), (truth, in_dims[1]))
        )
        flat = (batch.flatten(0, 1).contiguous() for batch in (scores, truth))
        values, gradients = _Solved.apply(*flat, solve)  # type: ignore[no-untyped-call]
        return (values.reshape(scores.shape[:2]), gradients.reshape(scores.shape)), (0, 0)


def first_only(scores: Tensor, gradients: Tensor, upstream: Tensor) -> Tensor:
    """`upstream (rows,) * gradients (rows, ...)` as the last step of a backward that is not to be differentiated."""
    return cast(Tensor, _FirstOnly.apply(scores, gradients, upstream))  # type: ignore[no-untyped-call]


class _FirstOnly(torch.autograd.Function):
    """`upstream * gradients`, which refuses to be differentiated again instead of giving zeros."""

    generate_vmap_rule = True

    @staticmethod
    def forward(scores: Tensor, gradients: Tensor, upstream: Tensor) -> Tensor:
        return upstream.reshape(-1, *([1] * (scores.dim() - 1))) * gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> Any:
        raise ConfigError(
            "this loss has its first derivative only; where a second one is needed use a loss that is built from "
            "differentiable steps, such as 'auroc_squared_hinge' or 'cross_entropy'"
        )
