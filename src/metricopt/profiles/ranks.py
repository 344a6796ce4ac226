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
    """The same two figures with smooth comparisons, on a sample of rows that depends on the truth alone."""
    width = spread(scores)
    areas, averages = [], []
    for column in range(scores.shape[2]):
        own = scores[:, :, column] / width[:, :, column]
        is_positive = truth[:, column] > 0
        positives, negatives = is_positive.nonzero()[:, 0], (~is_positive).nonzero()[:, 0]
        if not len(positives) or not len(negatives):
            areas.append(0.0 * own.sum(dim=1))
            averages.append(0.0 * own.sum(dim=1))
            continue
        some, others = _evenly(positives, _POSITIVES), _evenly(negatives, _NEGATIVES)
        mine = own[:, some]
        lost = torch.sigmoid(4 * (own[:, None, others] - mine[:, :, None]))  # negatives above a positive
        areas.append(1 - lost.mean(dim=(1, 2)))
        beside = torch.sigmoid(4 * (mine[:, None, :] - mine[:, :, None])).sum(dim=2) * len(positives) / len(some)
        above = lost.sum(dim=2) * len(negatives) / len(others)
        averages.append(((beside + 0.5) / (beside + 0.5 + above)).mean(dim=1))
    return torch.stack(areas, dim=1), torch.stack(averages, dim=1)


def _evenly(rows: Tensor, count: int) -> Tensor:
    if len(rows) <= count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count, device=rows.device).long()]
