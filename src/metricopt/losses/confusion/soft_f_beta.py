"""One minus the F-beta score with probabilities in the place of hard labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ..._checks import positive
from ..._scores import flatten_binary, score_kind, to_probabilities
from ..card import Card, LossEntry
from ..full_precision import full_precision

CARD = Card(
    name="soft_f_beta",
    title="One minus soft F-beta, a differentiable count of hits and misses",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("f1", "f_beta", "jaccard"),
    cost="O(n)",
    monotone=True,
    bounds=(0.0, 1.0),
    paper="folklore; as 'soft F1' in Eban et al., Scalable Learning of Non-Decomposable Objectives, 2017 (a baseline)",
)

#: Added to numerator and denominator: a class with no positives and no probability mass scores 1, not 0/0.
SMOOTH = 1e-6


@full_precision
def soft_f_beta(scores: Tensor, targets: Tensor, *, beta: float = 1.0) -> Tensor:
    """`1 - mean_c F_c`, `F = ((1 + b^2) TP + e) / ((1 + b^2) TP + b^2 FN + FP + e)`, counts from probabilities.

    `TP = sum p t`, `FP = sum p (1 - t)`, `FN = sum (1 - p) t` over the examples; the mean runs over classes
    (multiclass) or labels (multilabel). A count over the batch is no mean over examples, so a batch and its
    halves differ: that is the nature of F-beta.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        beta: weight of recall against precision, > 0.

    Returns:
        A scalar in [0, 1], finite also where the batch holds one class.

    Raises:
        ConfigError: shapes that fit no kind, or beta that is not positive.

    >>> import torch
    >>> round(float(soft_f_beta(torch.tensor([9.0, -9.0, 0.0]), torch.tensor([1, 0, 1]))), 3)
    0.143
    """
    square = positive("beta", beta) ** 2
    kind = score_kind(scores, targets)
    if kind == "binary":
        scores, targets = flatten_binary(scores, targets)
    probability = to_probabilities(scores, kind)
    truth = F.one_hot(targets.long(), scores.shape[1]) if kind == "multiclass" else targets
    truth = truth.to(scores.dtype)
    hits = (1 + square) * (probability * truth).sum(dim=0)
    # b^2 FN + FP + (1 + b^2) TP collapses to b^2 (positives) + (probability mass).
    mass = square * truth.sum(dim=0) + probability.sum(dim=0)
    return 1 - ((hits + SMOOTH) / (mass + SMOOTH)).mean()


ENTRY = LossEntry(card=CARD, loss=soft_f_beta)
