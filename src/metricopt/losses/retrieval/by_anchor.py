"""Each embedding asks for those of its label: similarities a few anchors at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..rows import solve_rows
from ..shapes import as_embeddings


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """What some anchors see.

    Args:
        similarity: `(m, n)` cosines of m anchors with all n embeddings; may be overwritten.
        positive: `(m, n)`: same label, and not the anchor itself.
        own: `(m, 1)`: the column of the anchor itself.
    """

    similarity: Tensor
    positive: Tensor
    own: Tensor

    def fill_own(self, value: float) -> Tensor:
        """The similarities with `value` where an anchor meets itself, in place."""
        return self.similarity.scatter_(1, self.own, value)

    @property
    def negative(self) -> Tensor:
        """`(m, n)`: another label."""
        return (~self.positive).scatter_(1, self.own, False)


#: The loss of each anchor `(m,)` and its slope in each similarity `(m, n)`, which is 0 for the anchor itself. What is
#: said of an anchor without positives is not used, as long as it is finite.
Judge = Callable[[Anchors], tuple[Tensor, Tensor]]


def anchors_at_once(n: int, device: torch.device) -> int:
    """How many rows of n similarities are held: a few MB on a CPU, more on a GPU, and never fewer than 32 rows."""
    return max(32, (2**18 if device.type == "cpu" else 2**25) // n)


def mean_over_anchors(embeddings: Tensor, targets: Tensor, judge: Judge) -> Tensor:
    """Mean of what `judge` says of each anchor that has positives; 0 where none has.

    Similarities are cosines. They are made for a few anchors at a time, with the gradient in the same pass, so that
    memory grows with n and not with its square.

    Args:
        embeddings: `(N, D)`; a vector of zeros has no direction, so its cosines are 0 and it gets no gradient.
        targets: `(N,)` labels.
        judge: the loss of some anchors.
    """
    vectors, labels = as_embeddings(embeddings, targets)
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    there = length > torch.finfo(vectors.dtype).tiny
    directions = vectors * torch.where(there, 1 / torch.where(there, length, 1.0), 0.0)
    return solve_rows(directions[None], labels[None], partial(_solve, judge=judge))[0]


def _solve(directions: Tensor, labels: Tensor, judge: Judge) -> tuple[Tensor, Tensor]:
    values = directions.new_zeros(directions.shape[0])
    gradients = torch.zeros_like(directions)
    alike = _label_counts(labels) > 1
    weights = alike.to(directions.dtype) / alike.sum(dim=-1, keepdim=True).clamp(min=1)
    n = labels.shape[1]
    for batch, block in _blocks(len(labels), n, anchors_at_once(n, labels.device)):
        everything, some = directions[batch], directions[batch, block]
        own = torch.arange(n, device=labels.device)[block].expand(len(some), -1).reshape(-1, 1)
        similarity = torch.bmm(some, everything.mT).flatten(0, 1)
        positive = (labels[batch, block, None] == labels[batch, None, :]).flatten(0, 1).scatter_(1, own, False)
        losses, slopes = judge(Anchors(similarity=similarity, positive=positive, own=own))
        weight = weights[batch, block]
        values[batch] += (weight * losses.reshape(weight.shape)).sum(dim=-1)
        slopes = slopes.reshape(*weight.shape, n) * weight[..., None]
        gradients[batch, block] += torch.bmm(slopes, everything)
        gradients[batch] += torch.bmm(slopes.mT, some)
    return values, gradients


def _blocks(batches: int, n: int, anchors: int) -> Iterator[tuple[slice, slice]]:
    """Several whole batches where they are small, else parts of one."""
    many = max(1, anchors // n)
    for batch in range(0, batches, many):
        for start in range(0, n, anchors):
            yield slice(batch, batch + many), slice(start, min(start + anchors, n))


def _label_counts(labels: Tensor) -> Tensor:
    """How often each label occurs in its row."""
    ranked = torch.sort(labels, dim=-1).values
    return torch.searchsorted(ranked, labels, right=True) - torch.searchsorted(ranked, labels)
