"""Which places of a ranking an item takes, items of equal score sharing theirs."""

from __future__ import annotations

import torch
from torch import Tensor


def places(scores: Tensor) -> tuple[Tensor, Tensor]:
    """First place of each item and the place after its last, counted from 0 for the highest score.

    Items of equal score share their places: an item that stands alone has `(p, p + 1)`.

    Args:
        scores: `(rows, n)`.

    >>> places(torch.tensor([[1.0, 3.0, 1.0]]))
    (tensor([[1, 0, 1]]), tensor([[3, 1, 3]]))
    """
    falling = -scores.detach()
    ranked = torch.sort(falling, dim=-1).values
    return torch.searchsorted(ranked, falling), torch.searchsorted(ranked, falling, right=True)


def mean_ranks(scores: Tensor) -> Tensor:
    """`(rows, n)`: the rank of each item, 1 for the highest score; items of equal score share the mean of theirs.

    >>> mean_ranks(torch.tensor([[1.0, 3.0, 1.0]]))
    tensor([[2.5000, 1.0000, 2.5000]])
    """
    first, last = places(scores)
    return (first + last + 1).to(scores.dtype) / 2
