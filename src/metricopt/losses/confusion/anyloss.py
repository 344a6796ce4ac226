"""AnyLoss: any function of the confusion matrix becomes a loss."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..._checks import one_of
from ..._types import LossFunction
from ..full_precision import full_precision
from .amplify import AMPLIFICATION, LEAK, PAPER_AMPLIFICATION, Threshold, amplified, amplified_classes
from .counts import AVERAGES, Average, Counts, averaged, soft_counts, with_absent_classes_found

PAPER = (
    "Han, Moniz, Chawla: AnyLoss: Transforming Classification Metrics into Loss Functions, KDD 2024, arXiv 2405.14745"
)


def anyloss(
    of: Callable[[Counts], Tensor],
    *,
    higher_is_better: bool = True,
    average: Average = "macro",
    amplification: float = AMPLIFICATION,
    threshold: Threshold | None = None,
    leak: float = LEAK,
) -> LossFunction:
    """A loss from a formula over the soft counts `tp, fp, fn, tn`: `1 - of(c)`, or `of(c)` where lower is better.

    Scores become nearly hard predictions, `s(L (s(z) - t))` for binary and labels, `softmax(L (p - t) / 2)` for
    classes (see `amplify.py`); their sums are the counts.

    Args:
        of: from `Counts` (`tp, fp, fn, tn, positives, negatives, predicted, n, matrix`) to a value. For classes and
            labels each count is `(C,)` and so is the value, which is then averaged; a formula over `matrix` returns
            one value for all, or `(C,)` for labels.
        higher_is_better: of the formula.
        average: over classes or labels, as in `counts.averaged`. A formula that returns one value is not averaged.
        amplification: L. `PAPER_AMPLIFICATION` is 73.
        threshold: t, the probability from which on a positive is called (0.5 if None); one for each label, or for
            each class a number that is subtracted from its probability.
        leak: share of the prediction that does not saturate, so that confident mistakes keep a gradient; 0 is the
            paper's function.

    Returns:
        `(scores, targets) -> scalar`. A batch may lack all positives or all negatives: a formula that divides by their
        count must say what 0/0 is (`counts.ratio` says 1).

    Differs from the paper: the leak; N is the size of the batch; several classes and labels.

    >>> import torch
    >>> critical_success = anyloss(lambda c: c.tp / (c.tp + c.fn + c.fp), leak=0.0)
    >>> round(float(critical_success(torch.tensor([9.0, -9.0, 9.0]), torch.tensor([1, 0, 0]))), 2)
    0.5
    """
    one_of("average", average, AVERAGES)

    @full_precision
    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        value = mean_of(of, anyloss_counts(scores, targets, amplification, threshold, leak), average)
        return 1 - value if higher_is_better else value

    return loss


def anyloss_counts(
    scores: Tensor, targets: Tensor, amplification: float, threshold: Threshold | None, leak: float
) -> Counts:
    """Counts of a batch from amplified predictions."""
    return soft_counts(
        scores,
        targets,
        lambda z: amplified(z, amplification, 0.5 if threshold is None else threshold, leak),
        lambda z: amplified_classes(z, amplification, threshold, leak),
    )


def mean_of(of: Callable[[Counts], Tensor], counts: Counts, average: Average) -> Tensor:
    """`averaged`, for a user's formula: it may return one value for all classes, and divide by those of a class."""
    if counts.kind == "binary" or average == "micro":
        return averaged(of, counts, average)
    value = of(counts)
    if value.dim() == 0:
        return value
    if counts.kind == "multiclass":  # an absent class has no weight, but 0/0 times 0 is no number
        return averaged(lambda _: of(with_absent_classes_found(counts)), counts, average)
    return averaged(lambda _: value, counts, average)


__all__ = ["AMPLIFICATION", "LEAK", "PAPER", "PAPER_AMPLIFICATION", "anyloss", "anyloss_counts", "mean_of"]
