"""One score a row, two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from .profile import Column, Profile, members, named, ratio, spread, straight_through
from .ranks import auroc_and_precision, precision_at, ranked

_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_COUNTS = ("hits", "false alarms", "share predicted positive")
_RATES = ("precision", "recall", "specificity")
_MEANS = ("F0.5", "F1", "F2", "G-mean", "balanced accuracy", "MCC", "accuracy")


@final
@dataclass(frozen=True, kw_only=True)
class BinaryProfile(Profile):
    """Counts by the sign of the score, counts of probabilities, ranking, top shares, cross-entropy.

    Args:
        slices: names; recall, specificity and accuracy are counted inside each.
    """

    slices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        families = [
            ("counts", _COUNTS),
            ("rates", _RATES),
            ("means", _MEANS),
            ("probabilities", [f"{name}, of probabilities" for name in (*_COUNTS, *_RATES, *_MEANS)]),
            ("ranking", ["AUROC", "average precision"]),
            ("top", [f"precision in the top {share:.0%}" for share in _SHARES]),
            ("likelihood", ["log-likelihood"]),
        ]
        for part in self.slices:
            families.append(("slices", [f"{name} in {part}" for name in ("recall", "specificity", "accuracy")]))
        return named(families)

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        scores = outputs.reshape(len(outputs), -1)
        truth = targets.reshape(-1).to(scores.dtype)
        labels = (scores > 0).to(scores.dtype)
        if scores.requires_grad:
            labels = straight_through(labels, torch.sigmoid(scores / spread(scores) * 4))
        columns = scores[:, :, None], truth[:, None]
        order = ranked(*columns)
        area, average = auroc_and_precision(*columns, order)
        found = [
            *_counted(torch.cat([labels, torch.sigmoid(scores)]), truth).chunk(2),
            area,
            average,
            precision_at(scores, truth, _SHARES, order),
            -F.softplus(-scores * (2 * truth - 1)).mean(dim=1, keepdim=True),
        ]
        for member in members(self.slices, slices, scores):
            right = labels * truth + (1 - labels) * (1 - truth)
            of = [member * truth, member * (1 - truth), member]
            found += [ratio((right * rows).sum(dim=1, keepdim=True), rows.sum()) for rows in of]
        return torch.cat(found, dim=1)


def _counted(labels: Tensor, truth: Tensor) -> Tensor:
    """Counts, rates and means of (soft) labels `(n, N)`."""
    hits = (labels * truth).mean(dim=1)
    predicted = labels.mean(dim=1)
    share = truth.mean().expand_as(hits)
    alarms = predicted - hits
    missed, kept = share - hits, 1 - share - alarms
    parts, wholes = [hits, hits, kept], [predicted, share, 1 - share]
    for squared in (0.25, 1.0, 4.0):  # F0.5, F1, F2
        parts.append((1 + squared) * hits)
        wholes.append((1 + squared) * hits + squared * missed + alarms)
    ratios = ratio(torch.stack(parts, dim=1), torch.stack(wholes, dim=1))
    recall, specificity = ratios[:, 1], ratios[:, 2]
    margins = (hits + alarms) * (hits + missed) * (kept + alarms) * (kept + missed)
    product, both = hits * kept - alarms * missed, recall * specificity
    means = [
        straight_through((both + 1e-6).sqrt(), (both + 1e-2).sqrt()),
        (recall + specificity) / 2,
        straight_through(product / (margins + 1e-8).sqrt(), product / (margins + 1e-4).sqrt()),
        hits + kept,
    ]
    return torch.cat([torch.stack([hits, -alarms, predicted], dim=1), ratios, torch.stack(means, dim=1)], dim=1)
