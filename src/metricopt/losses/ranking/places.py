"""Which places of a ranking an item takes, items of equal score sharing theirs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def places(scores: Tensor) -> tuple[Tensor, Tensor]:
    """First place of each item and the place after its last, counted from 0 for the highest score.

    Items of equal score share their places: an item that stands alone has `(p, p + 1)`.

    Args:
        scores: `(rows, n)`.

    >>> places(torch.tensor([[1.0, 3.0, 1.0]]))
    (tensor([[1, 0, 1]]), tensor([[3, 1, 3]]))
    """
    first, stop, order = _runs(scores)
    return _back(first, order), _back(stop, order)


def mean_ranks(scores: Tensor) -> Tensor:
    """`(rows, n)`: the rank of each item, 1 for the highest score; items of equal score share the mean of theirs.

    >>> mean_ranks(torch.tensor([[1.0, 3.0, 1.0]]))
    tensor([[2.5000, 1.0000, 2.5000]])
    """
    first, stop, order = _runs(scores)
    return _back((first + stop + 1).to(scores.dtype) / 2, order)


def _runs(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In falling order: where the run of equal scores begins and ends that each item is in; and the order."""
    ranked, order = torch.sort(scores.detach(), dim=-1, descending=True)
    n = ranked.shape[-1]
    place = torch.arange(n + 1, device=ranked.device)
    steps = ranked[..., 1:] != ranked[..., :-1]
    # A run begins at the last step in front of an item and ends at the next one behind it.
    first = torch.cummax(F.pad(torch.where(steps, place[1:-1], 0), (1, 0)), dim=-1).values
    stop = F.pad(torch.where(steps, place[1:-1], n), (0, 1), value=n).flip(-1).cummin(dim=-1).values.flip(-1)
    return first, stop, order


def _back(values: Tensor, order: Tensor) -> Tensor:
    return values.scatter(-1, order, values)  # every place is written
