"""One score a class, one class a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from .profile import Column, Profile, members, named, ratio, straight_through
from .ranks import auroc_and_precision

#: With at most so many classes every pair that is confused has a column.
_MOST_PAIRS = 10
#: With more classes than this, only means and extremes over classes.
MOST_CLASSES = 30
_TOP = (2, 3, 5)
_OVER = ("accuracy", "macro F1", "G-mean", "worst recall", "mean of the three worst recalls", "quadratic kappa", "MCC")


@final
@dataclass(frozen=True, kw_only=True)
class MulticlassProfile(Profile):
    """The confusion matrix by the largest score, that of probabilities, ranking of each class, top k, likelihood.

    Args:
        classes: how many there are.
        slices: names; accuracy and the worst recall are counted inside each.
    """

    classes: int
    slices: tuple[str, ...] = ()

    @property
    def _each(self) -> list[str]:
        return [f"class {k}" for k in range(self.classes)] if self.classes <= MOST_CLASSES else []

    @property
    def columns(self) -> tuple[Column, ...]:
        classes, each = range(self.classes), self._each
        families = [
            ("recalls", [f"recall of {name}" for name in each]),
            ("precisions", [f"precision of {name}" for name in each]),
            ("shares", [f"share predicted as {name}" for name in each]),
            ("means", [*_OVER, "mean recall"]),
            ("soft recalls", [f"probability of {name} in its rows" for name in each]),
            ("soft means", [f"{name}, of probabilities" for name in (*_OVER, "mean recall")]),
            ("ranking", ["mean AUROC", "mean average precision"]),
            ("class ranking", [f"average precision of {name}" for name in each]),
            ("top", [f"true class among the top {k}" for k in _TOP if k < self.classes]),
            ("likelihood", ["log-likelihood", *(f"log-likelihood of {name}" for name in each)]),
        ]
        if self.classes <= _MOST_PAIRS:
            pairs = [f"class {a} taken for class {b}" for a in classes for b in classes if a != b]
            families.append(("pairs", pairs))
        for part in self.slices:
            families.append(("slices", [f"accuracy in {part}", f"worst recall in {part}"]))
        return named(families)

    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        scores, classes = outputs, outputs.shape[2]
        truth = F.one_hot(targets.reshape(-1).long(), classes).to(scores.dtype)
        logs = scores.log_softmax(dim=2)
        probabilities = logs.exp()
        hard = F.one_hot(scores.argmax(dim=2), classes).to(scores.dtype)
        labels = straight_through(hard, (2.0 * scores).softmax(dim=2)) if scores.requires_grad else hard
        present = truth.sum(dim=0).clamp_min(1)
        both = torch.einsum("rk,nrj->nkj", truth, torch.cat([labels, probabilities])) / len(truth)
        recalls, (over, soft_over) = _recalls(both), _over(both).chunk(2)
        matrix = both[: len(labels)]
        area, average = auroc_and_precision(probabilities, truth)
        own = (logs * truth).sum(dim=1) / present
        each = self.classes <= MOST_CLASSES
        found = [
            *([recalls[: len(labels)], _precisions(matrix), matrix.sum(dim=1)] if each else []),
            over,
            *([recalls[len(labels) :]] if each else []),
            soft_over,
            area.mean(dim=1, keepdim=True),
            average.mean(dim=1, keepdim=True),
            *([average] if each else []),
            *(_among(scores, truth, k) for k in _TOP if k < classes),
            (logs * truth).sum(dim=(1, 2), keepdim=True)[:, 0] / len(truth),
            *([own] if each else []),
        ]
        if classes <= _MOST_PAIRS:
            off = ~torch.eye(classes, dtype=torch.bool, device=matrix.device)
            found.append(-matrix[:, off])
        for member in members(self.slices, slices, scores):
            inside = torch.einsum("rk,nrj->nkj", truth * member[:, None], labels)
            right = inside.diagonal(dim1=1, dim2=2)
            there = inside.detach().sum(dim=2) > 0
            recall = torch.where(there, ratio(right, inside.sum(dim=2)), 1.0)  # a class that is not there is not bad
            found.append(ratio(right.sum(dim=1, keepdim=True), inside.sum(dim=(1, 2))[:, None]))
            found.append(recall.amin(dim=1, keepdim=True))
        return torch.cat(found, dim=1)


def _recalls(matrix: Tensor) -> Tensor:
    return ratio(matrix.diagonal(dim1=1, dim2=2), matrix.sum(dim=2))


def _precisions(matrix: Tensor) -> Tensor:
    return ratio(matrix.diagonal(dim1=1, dim2=2), matrix.sum(dim=1))


def _over(matrix: Tensor) -> Tensor:
    """Figures of a whole confusion matrix `(n, K, K)` whose entries add up to 1."""
    classes = matrix.shape[1]
    there = (matrix.detach().sum(dim=2) > 0).to(matrix)
    recall, precision, right = _recalls(matrix), _precisions(matrix), matrix.diagonal(dim1=1, dim2=2).sum(dim=1)
    f1 = ratio(2 * recall * precision, recall + precision)
    seen = torch.where(there > 0, recall, 2.0)
    # Of the worst classes the gradient of a soft minimum: the next worst must not be forgotten.
    weights = (-10 * seen).softmax(dim=1)
    worst = straight_through(seen.amin(dim=1), (weights * recall).sum(dim=1))
    three = straight_through(
        seen.topk(min(3, classes), dim=1, largest=False).values.mean(dim=1), (weights * recall).sum(1)
    )
    rows, columns = matrix.sum(dim=2), matrix.sum(dim=1)
    grade = torch.arange(classes, device=matrix.device, dtype=matrix.dtype)
    apart = (grade[:, None] - grade[None, :]).square()
    expected = torch.einsum("nk,nj->nkj", rows, columns)
    kappa = 1 - ratio((apart * matrix).sum(dim=(1, 2)), (apart * expected).sum(dim=(1, 2)))
    norm = (1 - rows.square().sum(dim=1)) * (1 - columns.square().sum(dim=1))
    mcc = (right - (rows * columns).sum(dim=1)) / norm.clamp_min(1e-6).sqrt()
    count = there.sum(dim=1).clamp_min(1)
    return torch.stack(
        [
            right,
            (f1 * there).sum(dim=1) / count,
            straight_through(_geometric(recall.clamp_min(1e-3), there), _geometric(recall + 0.02, there)),
            worst,
            three,
            kappa,
            mcc,
            (recall * there).sum(dim=1) / count,
        ],
        dim=1,
    )


def _geometric(recall: Tensor, there: Tensor) -> Tensor:
    """Geometric mean over the classes that occur. With a floor added its slope stays finite, and never nothing."""
    return ((recall.log() * there).sum(dim=1) / there.sum(dim=1).clamp_min(1)).exp()


def _among(scores: Tensor, truth: Tensor, k: int) -> Tensor:
    """Share of rows whose class has one of the k largest scores."""
    own = (scores * truth).sum(dim=2)
    cut = scores.detach().topk(k, dim=2).values[:, :, -1]
    return straight_through((own >= cut).to(scores).mean(1), torch.sigmoid(2 * (own - cut)).mean(1))[:, None]
