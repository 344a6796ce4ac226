"""The ready-made AnyLosses: a table of formulas over soft counts.

Each formula maps the counts of a batch to a loss; `_loss` turns it into `(scores, targets, *, options) -> scalar` with
the options that all of them share.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ..._checks import positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, Threshold
from .anyloss import PAPER, anyloss_counts
from .counts import TINY, Average, Counts, averaged, floor, ratio

#: Name -> entry.
ENTRIES: dict[str, LossEntry] = {}

_SHARED = """
    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        amplification, threshold, leak: how scores become predictions, as for `anyloss`."""


def _loss(**about: Any) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Make a loss of a formula `(counts, *, options) -> scalar`, with a card that says `about` it."""

    def made(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def of_scores(
            scores: Tensor,
            targets: Tensor,
            *,
            amplification: float = AMPLIFICATION,
            threshold: Threshold | None = None,
            leak: float = LEAK,
            **options: Any,
        ) -> Tensor:
            return formula(anyloss_counts(scores, targets, amplification, threshold, leak), **options)

        named = list(inspect.signature(of_scores).parameters.values())[:-1]
        own = list(inspect.signature(formula).parameters.values())[1:]
        loss: Any = full_precision(cast(Any, of_scores))
        for name in ("__module__", "__name__", "__qualname__"):
            setattr(loss, name, getattr(formula, name))
        vars(loss).pop("__wrapped__", None)
        loss.__signature__ = inspect.Signature([*named[:2], *own, *named[2:]], return_annotation=Tensor)
        first, _, rest = (formula.__doc__ or "").partition("\n")
        loss.__doc__ = f"{first}\n{_SHARED}\n{rest}"
        kinds: Any = ("binary", "multiclass", "multilabel")
        card = Card(name=formula.__name__, targets=kinds, cost="O(n)", paper=PAPER, **about)
        ENTRIES[card.name] = LossEntry(card=card, loss=loss)
        return cast(Callable[..., Tensor], loss)

    return made


@_loss(title="AnyLoss: one minus soft accuracy", aims_at=("accuracy", "mcr"), monotone=True, bounds=(0.0, 1.0))
def anyloss_accuracy(counts: Counts) -> Tensor:
    """`1 - (TP + TN) / N`; for classes `1 - trace / N` of the soft confusion matrix, for labels the mean over labels.

    Compared with the authors' perceptron code at L = 73 and leak 0 on 100 random batches: values within 3e-16, its
    derivatives within 8e-16.

    >>> import torch
    >>> round(float(anyloss_accuracy(torch.tensor([5.0, -5.0, 5.0, 5.0]), torch.tensor([1, 0, 0, 1]), leak=0.0)), 2)
    0.25
    """
    if counts.kind == "multiclass":
        return 1 - counts.tp.sum() / counts.n
    return ((counts.fp + counts.fn) / counts.n).mean()


@_loss(
    title="AnyLoss: one minus soft F-beta",
    aims_at=("f1", "f_beta", "jaccard"),
    monotone=("binary", "multilabel"),
    bounds=(0.0, 1.0),
)
def anyloss_f_beta(counts: Counts, *, beta: float = 1.0, average: Average = "macro") -> Tensor:
    """`1 - (1 + b^2) TP / (b^2 (TP + FN) + TP + FP)`.
        beta: b, weight of recall against precision, > 0.
        average: over classes or labels: "macro", "micro" or "weighted".

    Compared with the authors' perceptron code at L = 73 and leak 0 on 100 random batches: values within 4e-14, its
    derivatives within 8e-14.

    >>> import torch
    >>> round(float(anyloss_f_beta(torch.tensor([9.0, -9.0, -9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    0.33
    """
    square = positive("beta", beta) ** 2
    one = counts.tp.new_ones(())
    # 1 - (1 + b^2) tp / whole, in one call: see amplify.py
    return averaged(
        lambda c: torch.addcdiv(one, c.tp, c.predicted + (square * c.positives + TINY), value=-(1 + square)),
        counts,
        average,
    )


@_loss(
    title="AnyLoss: one minus the soft Jaccard index",
    aims_at=("jaccard", "f1", "f_beta"),
    monotone=("binary", "multilabel"),
    bounds=(0.0, 1.0),
)
def anyloss_jaccard(counts: Counts, *, average: Average = "macro") -> Tensor:
    """`1 - TP / (TP + FN + FP)`.
        average: over classes or labels: "macro", "micro" or "weighted".

    >>> import torch
    >>> round(float(anyloss_jaccard(torch.tensor([9.0, -9.0, -9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    0.5
    """
    return 1 - averaged(lambda c: ratio(c.tp, c.positives + c.fp), counts, average)


@_loss(
    title="AnyLoss: one minus soft balanced accuracy, the mean recall of the classes",
    aims_at=("balanced_accuracy", "youden_j", "g_mean"),
    monotone=True,
    bounds=(0.0, 1.0),
)
def anyloss_balanced_accuracy(counts: Counts) -> Tensor:
    """`1 - (TP / P + TN / N) / 2`; for classes one minus the mean recall of those in the batch, for labels the mean.

    A class that is not in the batch has recall 1.

    Compared with the authors' perceptron code at L = 73 and leak 0 on 100 random batches: values within 7e-14, its
    derivatives within 2e-13.

    >>> import torch
    >>> round(float(anyloss_balanced_accuracy(torch.tensor([9.0, 9.0, 9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    0.5
    """
    if counts.kind == "multiclass":
        return 1 - averaged(lambda c: ratio(c.tp, c.positives), counts, "macro")
    return 1 - (ratio(counts.tp, counts.positives) + ratio(counts.tn, counts.negatives)).mean() / 2


@_loss(
    title="AnyLoss: one minus the geometric mean of the soft recalls of the classes",
    aims_at=("g_mean", "balanced_accuracy"),
    monotone=True,
    bounds=(0.0, 1.0),
)
def anyloss_g_mean(counts: Counts) -> Tensor:
    """`1 - sqrt(TP / P * TN / N)`, for labels the mean; for classes the geometric mean of those in the batch.

    A class that is not in the batch has recall 1.

    Compared with the authors' perceptron code at L = 73 and leak 0 on 100 random batches: values within 2e-12, its
    derivatives, which are four times too large, within 2e-12 of four times ours.

    >>> import torch
    >>> round(float(anyloss_g_mean(torch.tensor([9.0, -9.0, 9.0]), torch.tensor([1, 0, 0]), leak=0.0)), 2)
    0.3
    """
    if counts.kind == "multiclass":
        logs = averaged(lambda c: ratio(c.tp, c.positives).log(), counts, "macro")
        return 1 - logs.exp()
    recalls = ratio(counts.tp, counts.positives) * ratio(counts.tn, counts.negatives)
    # With every score saturated on the wrong side the slope of the root would be infinite.
    return 1 - (recalls.clamp(min=0) + TINY).sqrt().mean()


@_loss(
    title="AnyLoss: one minus soft Youden's J, sensitivity + specificity - 1",
    aims_at=("youden_j", "balanced_accuracy"),
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
)
def anyloss_youden_j(counts: Counts, *, average: Average = "macro") -> Tensor:
    """`1 - (TP / P + TN / N - 1)`, each class against the rest.
        average: over classes or labels: "macro", "micro" or "weighted".

    A class that is not in the batch has recall 1.

    >>> import torch
    >>> round(float(anyloss_youden_j(torch.tensor([9.0, 9.0, 9.0]), torch.tensor([1, 0, 1]), leak=0.0)), 2)
    1.0
    """
    return 1 - averaged(lambda c: ratio(c.tp, c.positives) + ratio(c.tn, c.negatives) - 1, counts, average)


@_loss(
    title="AnyLoss: one minus the soft Matthews correlation",
    aims_at=("mcc", "kappa"),
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
)
def anyloss_mcc(counts: Counts) -> Tensor:
    """`1 - (TP TN - FP FN) / sqrt((TP + FP) P (TN + FN) N)`; for classes Gorodkin's R_K, for labels the mean.

    A batch of one class, where the correlation is 0/0, counts 0.

    >>> import torch
    >>> round(float(anyloss_mcc(torch.tensor([9.0, -9.0, -9.0, -9.0]), torch.tensor([1, 1, 0, 0]), leak=0.0)), 2)
    0.43
    """
    tp, predicted, positives = counts.tp / counts.n, counts.predicted / counts.n, counts.positives / counts.n
    if counts.kind == "multiclass":
        covariance = tp.sum() - (predicted * positives).sum()
        spread = (1 - predicted.square().sum()) * (1 - positives.square().sum())
        mixed = (counts.positives < counts.n).all()
    else:
        covariance = tp - predicted * positives
        spread = predicted * (1 - predicted) * positives * (1 - positives)
        mixed = (counts.positives > 0) & (counts.positives < counts.n)
    # Below the root, so that its slope stays finite; with one class only what is left is rounding.
    correlation = covariance / (spread.clamp(min=0) + floor(tp) ** 2).sqrt()
    return 1 - torch.where(mixed, correlation, 0.0).mean()


@_loss(
    title="AnyLoss: one minus soft Cohen's kappa, the agreement beyond chance",
    aims_at=("kappa", "mcc"),
    monotone=("binary", "multilabel"),
    bounds=(0.0, 2.0),
)
def anyloss_kappa(counts: Counts) -> Tensor:
    """`1 - (o - e) / (1 - e)`, o the soft accuracy and e that of chance with the same margins; for labels the mean.

    A batch where chance alone agrees, which is 0/0, counts 0.

    >>> import torch
    >>> round(float(anyloss_kappa(torch.tensor([9.0, -9.0, -9.0, -9.0]), torch.tensor([1, 1, 0, 0]), leak=0.0)), 2)
    0.51
    """
    tp, predicted, positives = counts.tp / counts.n, counts.predicted / counts.n, counts.positives / counts.n
    if counts.kind == "multiclass":
        chance = (predicted * positives).sum()
        excess = tp.sum() - chance
    else:
        chance = predicted * positives + (1 - predicted) * (1 - positives)
        excess = 2 * (tp - predicted * positives)
    return 1 - (excess / (1 - chance + floor(tp))).mean()


@_loss(title="AnyLoss: soft mean cost of the predictions under a matrix of costs", aims_at=("cost", "accuracy", "mcr"))
def anyloss_cost(counts: Counts, *, costs: Tensor | Sequence[Sequence[float]] | None = None) -> Tensor:
    """`sum_ij C_ij M_ij / N`, M the soft confusion matrix with targets as rows; for labels the mean over labels.
        costs: C, `(K, K)`; `(2, 2)` for binary and labels. None is 0 on the diagonal and 1 elsewhere: the error rate.

    Raises:
        ConfigError: shapes that fit no kind, or costs of another shape than the confusion matrix.

    >>> import torch
    >>> misses_cost_five = [[0.0, 1.0], [5.0, 0.0]]
    >>> round(float(anyloss_cost(torch.tensor([9.0, -9.0]), torch.tensor([1, 1]), costs=misses_cost_five, leak=0.0)), 2)
    2.5
    """
    matrix = counts.matrix
    size = matrix.shape[-1]
    if costs is None:
        table = 1 - torch.eye(size, dtype=matrix.dtype, device=matrix.device)
    else:
        table = torch.as_tensor(costs, dtype=matrix.dtype, device=matrix.device)
    if table.shape != (size, size):
        raise ConfigError(f"costs must have shape ({size}, {size}), rows for targets; got {tuple(table.shape)}")
    return (matrix * table).sum(dim=(-2, -1)).mean() / counts.n
