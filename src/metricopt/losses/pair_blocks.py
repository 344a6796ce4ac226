"""Pairs of a positive with all other examples, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


def block_size(device: torch.device) -> int:
    """How many pairs are worked on at once: what a core holds in its cache, or what keeps a GPU busy."""
    return 2**18 if device.type == "cpu" else 2**25


@dataclass(frozen=True, kw_only=True)
class PositivesFirst:
    """Rows with their positives moved to the front, so that pairs with positives are a rectangle.

    Args:
        scores: `(rows, n)`, positives first.
        truth: `(rows, n)`, ones first.
        order: `(rows, n)`: where each came from.
        most: the most positives in any row.
        least: the fewest.
    """

    scores: Tensor
    truth: Tensor
    order: Tensor
    most: int
    least: int

    def back(self, values: Tensor) -> Tensor:
        """`values (rows, n)` in the order of the examples."""
        return torch.empty_like(values).scatter_(-1, self.order, values)

    def blocks(self, others: int) -> Iterator[tuple[slice, slice]]:
        """Slices of rows and of positives, so that rows x positives x `others` stays below `block_size`."""
        room = block_size(self.scores.device)
        tall = max(1, min(self.most, room // max(others, 1)))
        many = max(1, room // (tall * max(others, 1)))
        for row in range(0, self.scores.shape[0], many):
            for start in range(0, self.most, tall):
                yield slice(row, row + many), slice(start, min(start + tall, self.most))


def positives_first(scores: Tensor, truth: Tensor) -> PositivesFirst:
    """Move the positives of each row to the front, in their order.

    >>> positives_first(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 1.0, 0.0]])).scores
    tensor([[2., 1., 3.]])
    """
    ordered, order = torch.sort(truth, dim=-1, descending=True, stable=True)
    counts = (truth > 0).sum(dim=-1)
    return PositivesFirst(
        scores=scores.gather(-1, order),
        truth=ordered,
        order=order,
        most=int(counts.max()),
        least=int(counts.min()),
    )
