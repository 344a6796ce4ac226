"""One score a row, two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from .profile import Column, Profile, members, named, ratio, spread, straight_through
from .ranks import auroc_and_precision, precision_at

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
        area, average = auroc_and_precision(scores[:, :, None], truth[:, None])
        found = [
            _counted(labels, truth),
            _counted(torch.sigmoid(scores), truth),
            area,
            average,
            precision_at(scores, truth, _SHARES),
            -F.softplus(-scores * (2 * truth - 1)).mean(dim=1, keepdim=True),
        ]
        for member in members(self.slices, slices, scores):
            right = labels * truth + (1 - labels) * (1 - truth)
            of = [member * truth, member * (1 - truth), member]
            found += [ratio((right * rows).sum(dim=1, keepdim=True), rows.sum()) for rows in of]
        return torch.cat(found, dim=1)


def _counted(labels: Tensor, truth: Tensor) -> Tensor:
    """Counts, rates and means of (soft) labels `(n, N)`."""
    share = truth.mean()
    hits = (labels * truth).mean(dim=1)
    predicted = labels.mean(dim=1)
    alarms = predicted - hits
    missed, kept = share - hits, 1 - share - alarms
    precision, recall, specificity = ratio(hits, predicted), ratio(hits, share), ratio(kept, 1 - share)

    def f_score(beta: float) -> Tensor:
        squared = beta * beta
        return ratio((1 + squared) * hits, (1 + squared) * hits + squared * missed + alarms)

    margins = (hits + alarms) * (hits + missed) * (kept + alarms) * (kept + missed)
    product = hits * kept - alarms * missed
    mcc = straight_through(product / (margins + 1e-8).sqrt(), product / (margins + 1e-4).sqrt())
    means = [
        f_score(0.5),
        f_score(1.0),
        f_score(2.0),
        straight_through((recall * specificity + 1e-6).sqrt(), (recall * specificity + 1e-2).sqrt()),
        (recall + specificity) / 2,
        mcc,
        hits + kept,
    ]
    return torch.stack([hits, -alarms, predicted, precision, recall, specificity, *means], dim=1)
