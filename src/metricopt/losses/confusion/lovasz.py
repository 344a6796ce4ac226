"""The Lovász extension of the Jaccard loss: what a vector of errors costs."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_extension(errors: Tensor, truth: Tensor) -> Tensor:
    """`sum_i e_(i) (J_i - J_{i-1})`, `e_(i)` the i-th largest error, `J_i` the Jaccard loss with the first i wrong.

    Args:
        errors: `(N,)`, or `(C, N)` with each row on its own.
        truth: in {0, 1}, of the same shape and dtype.

    Returns:
        A scalar, or `(C,)`. Equal errors may stand in any order: the sum over them telescopes.
    """
    weights = _weights(errors.detach(), truth)
    return torch.dot(errors, weights) if errors.dim() == 1 else (errors * weights).sum(dim=-1)


def _weights(errors: Tensor, truth: Tensor) -> Tensor:
    """`J_i - J_{i-1}` in the place of each error of `(..., N)`: the extension is linear between changes of order."""
    order = errors.argsort(dim=-1, descending=True)
    hits = truth.gather(-1, order).cumsum(dim=-1)
    wrong = torch.arange(1, errors.shape[-1] + 1, dtype=truth.dtype, device=truth.device)
    # With the first i wrong, P - hits_i positives are still found, and i - hits_i negatives have joined the union.
    jaccard = wrong / (truth.sum(dim=-1, keepdim=True) + wrong - hits)
    steps = torch.cat([jaccard[..., :1], jaccard.diff(dim=-1)], dim=-1)
    return torch.zeros_like(steps).scatter(-1, order, steps)
