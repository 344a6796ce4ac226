"""One score a label, any number of labels a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from .profile import Column, Profile, members, named, ratio, spread, straight_through
from .ranks import auroc_and_precision

#: With more labels than this, only means over labels.
_MOST_LABELS = 30
_OVER = ("micro F1", "macro F1", "mean precision", "mean recall", "worst recall", "accuracy", "all labels right")


@final
@dataclass(frozen=True, kw_only=True)
class MultilabelProfile(Profile):
    """Counts of each label and over labels, by the sign of the score and of probabilities; ranking; likelihood.

    Args:
        labels: how many there are.
        slices: names; accuracy is counted inside each.
    """

    labels: int
    slices: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        each = [f"label {k}" for k in range(self.labels)] if self.labels <= _MOST_LABELS else []
        return named(
            [
                ("recalls", [f"recall of {name}" for name in each]),
                ("precisions", [f"precision of {name}" for name in each]),
                ("shares", [f"share with {name} predicted" for name in each]),
                ("means", _OVER),
                ("soft means", [f"{name}, of probabilities" for name in _OVER]),
                ("ranking", ["mean AUROC", "mean average precision"]),
                ("label ranking", [f"average precision of {name}" for name in each]),
                ("likelihood", ["log-likelihood"]),
                *(("slices", [f"accuracy in {part}"]) for part in self.slices),
            ]
        )

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        truth = targets.to(outputs.dtype)
        soft = torch.sigmoid(outputs / spread(outputs) * 4) if outputs.requires_grad else outputs
        labels = straight_through((outputs > 0).to(outputs.dtype), soft)
        area, average = auroc_and_precision(outputs, truth)
        recall, precision = _rates(labels, truth)
        each = self.labels <= _MOST_LABELS
        found = [
            *([recall, precision, labels.mean(dim=1)] if each else []),
            _over(labels, truth),
            _over(torch.sigmoid(outputs), truth),
            area.mean(dim=1, keepdim=True),
            average.mean(dim=1, keepdim=True),
            *([average] if each else []),
            -F.softplus(-outputs * (2 * truth - 1)).mean(dim=(1, 2))[:, None],
        ]
        for member in members(self.slices, slices, outputs):
            right = (labels * truth + (1 - labels) * (1 - truth)).mean(dim=2)
            found.append(ratio((right * member).sum(dim=1, keepdim=True), member.sum()))
        return torch.cat(found, dim=1)


def _rates(labels: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    hits = (labels * truth).mean(dim=1)
    return ratio(hits, truth.mean(dim=0)), ratio(hits, labels.mean(dim=1))


def _over(labels: Tensor, truth: Tensor) -> Tensor:
    recall, precision = _rates(labels, truth)
    f1 = ratio(2 * recall * precision, recall + precision)
    hits = (labels * truth).mean(dim=(1, 2))
    weights = (-10 * recall.detach()).softmax(dim=1)
    right = labels * truth + (1 - labels) * (1 - truth)
    return torch.stack(
        [
            ratio(2 * hits, labels.mean(dim=(1, 2)) + truth.mean()),
            f1.mean(dim=1),
            precision.mean(dim=1),
            recall.mean(dim=1),
            straight_through(recall.amin(dim=1), (weights * recall).sum(dim=1)),
            right.mean(dim=(1, 2)),
            right.clamp_min(1e-6).log().sum(dim=2).exp().mean(dim=1),
        ],
        dim=1,
    )
