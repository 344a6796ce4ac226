"""Lovász hinge: a convex surrogate of the Jaccard loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._scores import score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import as_columns
from .lovasz import lovasz_extension

CARD = Card(
    name="lovasz_hinge",
    title="Lovász hinge, the convex surrogate of the Jaccard loss of hinge errors",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("jaccard", "f1", "f_beta"),
    cost="O(n log n)",
    monotone=True,
    bounds=(0.0, math.inf),
    paper="Yu, Blaschko: The Lovász Hinge, arXiv 1512.07797; Berman et al.: The Lovász-Softmax Loss, CVPR 2018, Eq. 6",
)


@full_precision
def lovasz_hinge(scores: Tensor, targets: Tensor) -> Tensor:
    """`J~(max(0, 1 - (2t - 1) z))`, J~ the Lovász extension of the Jaccard loss; the mean over columns.

    All N examples are one set, as all pixels of a batch are. Classes are taken one against the rest by their
    log-odds.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`; of images, reshape `(B, C, H, W)` to `(B H W, C)`.
        targets: as for `cross_entropy`.

    Compared with the authors' `lovasz_hinge_flat` (made to run in float64) on 200 random batches: values within
    9e-16, gradients within 3e-16. It takes .89 to .94 of their time at 256 to 100,000 scores (one thread).

    >>> import torch
    >>> float(lovasz_hinge(torch.tensor([2.0, -2.0, -2.0]), torch.tensor([1, 0, 1])))
    1.5
    """
    if scores.dim() == 1 and targets.dim() == 1:
        score_kind(scores, targets)
        return _of_margins(scores, targets.to(scores.dtype))
    columns, truth, _ = as_columns(scores, targets)
    return _of_margins(columns.T, truth.T).mean()


def _of_margins(scores: Tensor, truth: Tensor) -> Tensor:
    # Clipped after sorting in the paper, before it here: the order among errors of 0 adds nothing.
    return lovasz_extension(torch.relu(1 - (2 * truth - 1) * scores), truth)


ENTRY = LossEntry(card=CARD, loss=lovasz_hinge)
