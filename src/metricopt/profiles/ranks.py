"""Ranking figures of columns of scores: counted by one sort, with the gradient of sampled pairs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .profile import spread, straight_through

#: Pairs of a positive and a negative that a gradient looks at, for each column.
_POSITIVES, _NEGATIVES = 48, 96


class Ranked(NamedTuple):
    """Columns of scores from the highest to the lowest `(n, N, C)`, and the truth of their rows in that order."""

    scores: Tensor
    found: Tensor


@torch.no_grad()
def ranked(scores: Tensor, truth: Tensor) -> Ranked:
    """One sort of scores `(n, N, C)` and truth `(N, C)`; ties are counted as they come in it."""
    ordered, order = scores.sort(dim=1, descending=True)
    return Ranked(ordered, torch.gather(truth.expand_as(scores), 1, order))


def auroc_and_precision(scores: Tensor, truth: Tensor, order: Ranked | None = None) -> tuple[Tensor, Tensor]:
    """Area under the ROC curve and average precision of each column, `(n, N, C)` and `(N, C)` to `(n, C)` each.

    A column without positives or negatives has .5 and 0. `order` is `ranked(scores, truth)` where it is at hand.
    """
    with torch.no_grad():
        found = (order or ranked(scores, truth)).found
        positives, rows = truth.sum(dim=0), len(truth)
        hits = found.cumsum(dim=1)
        place = torch.arange(1, rows + 1, dtype=scores.dtype, device=scores.device)[None, :, None]
        average = (hits / place * found).sum(dim=1) / positives.clamp_min(1)
        above = ((place - hits) * found).sum(dim=1)  # negatives above each positive
        area = 1 - above / (positives * (rows - positives)).clamp_min(1)
        area = torch.where((positives == 0) | (positives == rows), 0.5, area)
    if not scores.requires_grad:
        return area, average
    soft_area, soft_average = _by_pairs(scores, truth)
    return straight_through(area, soft_area), straight_through(average, soft_average)


def precision_at(scores: Tensor, truth: Tensor, shares: tuple[float, ...], order: Ranked) -> Tensor:
    """Precision among the top `share` of the rows of one column, `(n, N)` and `(N,)` to `(n, len(shares))`.

    What is level with the last of them counts, too. `order` is that of the column.
    """
    rows = scores.shape[1]
    last = torch.tensor([max(round(share * rows), 1) - 1 for share in shares], device=scores.device)
    ordered, hits = order.scores[:, :, 0].contiguous(), order.found[:, :, 0].cumsum(dim=1)
    cuts = ordered[:, last]
    inside = torch.searchsorted(-ordered, -cuts, right=True)
    exact = hits.gather(1, inside - 1) / inside
    if not scores.requires_grad:
        return exact
    soft = torch.sigmoid((scores[:, None, :] - cuts[:, :, None]) / spread(scores)[:, None] * 8)
    return straight_through(exact, (soft * truth).sum(dim=2) / soft.sum(dim=2))


def _by_pairs(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The same two figures with smooth comparisons, on a sample of rows that depends on the truth alone.

    All columns at once: samples are padded to one length, and what pads has no weight. A column of one class has no
    slope.
    """
    own = (scores / spread(scores)).transpose(1, 2)
    positives, negatives = _sample(truth > 0, _POSITIVES), _sample(truth <= 0, _NEGATIVES)
    each = torch.arange(truth.shape[1], device=truth.device)[:, None]
    mine, others = own[:, each, positives.rows], own[:, each, negatives.rows]  # (n, C, P) and (n, C, Q)
    lost = torch.sigmoid(4 * (others[:, :, None] - mine[..., None])) * negatives.share[:, None]
    above = lost.sum(dim=3)  # share of the negatives above a positive
    area = 1 - (above * positives.share).sum(dim=2)
    beside = (torch.sigmoid(4 * (mine[:, :, None] - mine[..., None])) * positives.share[:, None]).sum(dim=3)
    beside = beside * positives.total[:, None] + 0.5
    average = (beside / (beside + above * negatives.total[:, None]) * positives.share).sum(dim=2)
    mixed = ((positives.total > 0) & (negatives.total > 0)).to(scores.dtype)
    return area * mixed, average * mixed


class _Sample(NamedTuple):
    """Rows `(C, S)` of each column, what share of it each stands for, and how many `(C,)` they were drawn from."""

    rows: Tensor
    share: Tensor
    total: Tensor


def _sample(members: Tensor, most: int) -> _Sample:
    """At most so many rows of each column's members `(N, C)`, evenly spaced."""
    count = members.sum(dim=0)
    taken = count.clamp_max(most)
    place = torch.arange(max(int(taken.max()), 1), device=members.device)
    ordered = members.to(torch.uint8).argsort(dim=0, descending=True, stable=True)
    last = (count - 1).clamp_min(0).float()[:, None]
    step = last / max(most - 1, 1)
    # As `torch.linspace` does, from both ends: rounding must not move a row.
    spaced = torch.where(place < most // 2, step * place, last - step * (most - 1 - place)).long()
    spaced = torch.where(count[:, None] > most, spaced, place)
    inside = place < taken[:, None]
    rows = ordered.T.gather(1, torch.where(inside, spaced, 0))
    return _Sample(rows, inside / taken.clamp_min(1)[:, None], count)
