"""The soft confusion matrix of a batch, and means of what is computed from it over classes or labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import one_of
from ..._scores import flatten_binary, score_kind
from ..._types import ScoreKind

Average = Literal["macro", "micro", "weighted"]
AVERAGES = ("macro", "micro", "weighted")

#: Added to both sides of a ratio: nothing to find and nothing found is 1. Too small to be seen beside one example.
TINY = 1e-12


class Counts(NamedTuple):
    """Soft numbers of hits and misses: scalars for binary, `(C,)` for classes (each against the rest) and labels.

    Args:
        kind: binary, multiclass or multilabel.
        n: number of examples of the batch.
        tp: soft true positives.
        predicted: all that is predicted positive, TP + FP.
        positives: all that is positive, TP + FN.
        truth: `(N, K)` one-hot targets, for `matrix`.
        soft: `(N, K)` soft predictions, for `matrix`.

    >>> import torch
    >>> c = soft_counts(torch.tensor([50.0, -50.0, 50.0]), torch.tensor([1, 1, 0]), lambda z: torch.sigmoid(z))
    >>> [float(x) for x in (c.tp, c.fp, c.fn, c.tn)]
    [1.0, 1.0, 1.0, 0.0]
    """

    kind: ScoreKind
    n: int
    tp: Tensor
    predicted: Tensor
    positives: Tensor
    truth: Tensor
    soft: Tensor

    @property
    def fp(self) -> Tensor:
        """Predicted positive, but negative."""
        return self.predicted - self.tp

    @property
    def fn(self) -> Tensor:
        """Positive, but predicted negative."""
        return self.positives - self.tp

    @property
    def tn(self) -> Tensor:
        """Negative, and predicted so."""
        return self.n - self.positives - self.fp

    @property
    def negatives(self) -> Tensor:
        """All that is negative, TN + FP."""
        return self.n - self.positives

    @property
    def matrix(self) -> Tensor:
        """Soft confusion matrix, rows are targets: `(K, K)`, `(2, 2)` for binary, `(C, 2, 2)` for multilabel."""
        if self.kind == "multiclass":
            return self.truth.T @ self.soft
        rows = [torch.stack([self.tn, self.fp], dim=-1), torch.stack([self.fn, self.tp], dim=-1)]
        return torch.stack(rows, dim=-2)


def soft_counts(
    scores: Tensor,
    targets: Tensor,
    column: Callable[[Tensor], Tensor],
    classes: Callable[[Tensor], Tensor] | None = None,
) -> Counts:
    """Counts of a batch.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        column: scores to soft predictions, for binary and multilabel.
        classes: the same for `(N, K)` scores of classes, rows adding up to 1; `softmax` if None.

    Raises:
        ConfigError: shapes that fit no kind.
    """
    kind = score_kind(scores, targets)
    if kind == "binary":
        if scores.dim() > 1 or targets.dim() > 1:
            scores, targets = flatten_binary(scores, targets)
        truth, soft = targets.to(scores.dtype), column(scores)
        tp = torch.dot(soft, truth)
    else:
        if kind == "multiclass":
            truth = F.one_hot(targets.long(), scores.shape[1]).to(scores.dtype)
            soft = torch.softmax(scores, dim=-1) if classes is None else classes(scores)
        else:
            truth, soft = targets.to(scores.dtype), column(scores)
        tp = (soft * truth).sum(dim=0)
    return Counts(
        kind=kind,
        n=scores.shape[0],
        tp=tp,
        predicted=soft.sum(dim=0),
        positives=truth.sum(dim=0),
        truth=truth,
        soft=soft,
    )


def averaged(of: Callable[[Counts], Tensor], counts: Counts, average: Average) -> Tensor:
    """`of(counts)` as one number.

    Binary is the positive class alone. "macro" is the plain mean over labels, or over the classes that occur in the
    batch; "weighted" weighs each by its share of the targets; "micro" pools the counts first.
    """
    one_of("average", average, AVERAGES)
    if counts.kind == "binary":
        return of(counts)
    if average == "micro":
        return of(_pooled(counts))
    values = of(counts)
    if average == "macro" and counts.kind == "multilabel":
        return values.mean()
    weights = counts.positives if average == "weighted" else present(counts.positives)
    return (values * weights).sum() / weights.sum().clamp(min=TINY)


def _pooled(counts: Counts) -> Counts:
    """All classes or labels as one: n is then the number of decisions, N times C."""
    return Counts(
        kind="binary",
        n=counts.soft.numel(),
        tp=counts.tp.sum(),
        predicted=counts.predicted.sum(),
        positives=counts.positives.sum(),
        truth=counts.truth.reshape(-1),
        soft=counts.soft.reshape(-1),
    )


def with_absent_classes_found(counts: Counts) -> Counts:
    """The counts, each class that does not occur with one example that is found."""
    there = counts.positives > 0
    return counts._replace(
        tp=torch.where(there, counts.tp, 1.0),
        predicted=torch.where(there, counts.predicted, 1.0),
        positives=torch.where(there, counts.positives, 1.0),
    )


def present(positives: Tensor) -> Tensor:
    """1 for each class that occurs, 0 for the others."""
    return (positives > 0).to(positives.dtype)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, and 1 for 0/0."""
    return (part + TINY) / (whole + TINY)


def floor(like: Tensor) -> float:
    """Added to a denominator that is a share of the batch: above the rounding of its dtype, below one example."""
    return 8 * torch.finfo(like.dtype).eps
