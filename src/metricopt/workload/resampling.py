"""Drawing examples anew: how much would a gain differ on other examples? One home for every bootstrap of the
project."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .._types import Resampling
from .kinds import OutputKind, labels_of

#: Outputs that a metric rates as a whole: a duplicate would be its own nearest neighbour, or a second detection.
_OF_A_SET: frozenset[OutputKind] = frozenset({"embeddings", "boxes", "other"})


def resampling_of(stated: Resampling | None, kind: OutputKind, groups: Tensor | None) -> Resampling:
    """How examples are drawn anew for a metric: what it states, else what is valid for these outputs.

    - "rows": as many rows as there are, with replacement (the bootstrap), for metrics that count row by row.
    - "sets": half of the rows, or half of the groups, each at most once, for metrics of a whole set.
    - "none": the metric does not allow it.
    """
    if stated is not None:
        return "sets" if stated == "rows" and groups is not None else stated
    return "sets" if groups is not None or kind in _OF_A_SET else "rows"


def resample(
    targets: Any, how: Resampling, *, generator: torch.Generator, groups: Tensor | None = None, within: bool = False
) -> Tensor:
    """`(m,)` indices of one resample.

    With replacement, a class that would be missing keeps one example, so that ranking metrics exist. Half a set keeps
    the shares of the classes where targets are few classes.

    Args:
        targets: `(N, ...)`, or N records.
        how: "rows" or "sets".
        generator: of the draw.
        groups: `(N,)`; rows of one group stay together.
        within: draw inside each class, so that the shares of the classes stay as they are.

    >>> drawn = resample(torch.arange(9), "sets", generator=torch.Generator().manual_seed(0))
    >>> len(drawn), len(drawn.unique())
    (4, 4)
    """
    labels = few_classes(targets)
    if how == "sets":
        return _half(len(targets), labels, groups, generator)
    if within and labels is not None:
        return _within_classes(labels, generator)
    return _with_replacement(len(targets), labels, generator)


def units_of(count: int, groups: Tensor | None) -> int:
    """How many independent units there are: groups, or rows."""
    return count if groups is None else len(groups.unique())


def spread_factor(how: Resampling, units: int) -> float:
    """What the spread over resamples is multiplied by to be the standard error on all examples.

    A draw of m of n without replacement varies as sigma^2 / m * (1 - m / n): for one half that is sigma^2 / n itself.
    """
    half = units // 2
    return math.sqrt(half / (units - half)) if how == "sets" else 1.0


def few_classes(targets: Any) -> Tensor | None:
    """Labels `(N,)` on the CPU where targets are one class of few; None for multilabel, instances and real numbers."""
    labels = labels_of(targets)
    if labels.numel() == 0:
        return None
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1 or bool((labels != labels.round()).any()):
        return None
    labels = labels[:, 0].long()
    return labels if len(labels.unique()) <= max(len(labels) // 10, 2) else None


def by_class(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices ordered by class, the number of each class, and where each begins."""
    labels = labels.cpu().long()
    counts = torch.unique(labels, return_counts=True)[1]
    return labels.argsort(stable=True), counts, counts.cumsum(0) - counts


def _half(count: int, labels: Tensor | None, groups: Tensor | None, generator: torch.Generator) -> Tensor:
    if groups is not None:
        ids, of_row = torch.unique(groups.cpu(), return_inverse=True)
        chosen = torch.zeros(len(ids), dtype=torch.bool)
        chosen[torch.randperm(len(ids), generator=generator)[: len(ids) // 2]] = True
        return chosen[of_row].nonzero()[:, 0]
    order = torch.randperm(count, generator=generator)
    if labels is not None:  # every other one, class after class
        order = order[labels[order].argsort(stable=True)]
        order = order[int(torch.randint(2, (1,), generator=generator)) :: 2]
    return order[: count // 2].sort().values


def _with_replacement(count: int, labels: Tensor | None, generator: torch.Generator) -> Tensor:
    chosen = torch.randint(count, (count,), generator=generator)
    if labels is None:
        return chosen
    for label in labels.unique():
        if not bool((labels[chosen] == label).any()):
            members = (labels == label).nonzero()[:, 0]
            pick, place = (torch.randint(n, (1,), generator=generator) for n in (len(members), count))
            chosen[place] = members[pick]
    return chosen


def _within_classes(labels: Tensor, generator: torch.Generator) -> Tensor:
    order, counts, offsets = by_class(labels)
    size, begin = counts.repeat_interleave(counts), offsets.repeat_interleave(counts)
    return order[begin + (torch.rand(len(labels), generator=generator) * size).long()]
