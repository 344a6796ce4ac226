"""SmoothAP of retrieval: each embedding ranks all others."""

from __future__ import annotations

from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..ranking.smooth_ap import solve_smooth_ap
from .by_anchor import Anchors, mean_over_anchors

CARD = Card(
    name="retrieval_smooth_ap",
    title="SmoothAP of retrieval: average precision with soft ranks, each example a query",
    reads="embeddings",
    targets=("retrieval",),
    aims_at=("map_at_r", "recall_at_k"),
    cost="O(positives x n^2)",
    bounds=(0.0, 1.0),
    paper="Brown et al., Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval, ECCV 2020",
)


@full_precision
def retrieval_smooth_ap(embeddings: Tensor, targets: Tensor, *, temperature: float = 0.01) -> Tensor:
    """`mean_i smooth_ap(cosines of i with all others)`, see `smooth_ap`.

    Positives are compared with all others a block at a time, the gradient in the same pass: no tensor of n^2 or n^3
    numbers. First derivative only.

    Args:
        embeddings: `(N, D)`; they are normalised here.
        targets: `(N,)` labels; classes need not be of equal size.
        temperature: tau, > 0, in units of cosines.

    Returns:
        A scalar in [0, 1]: the mean over the anchors that have a positive, 0 where none has.

    Raises:
        ConfigError: shapes that do not fit, or a temperature that is not positive.

    Differs from the paper: an anchor is no positive of its own. With that put back it equals the authors' code, see
    `smooth_ap`.

    >>> import torch
    >>> float(retrieval_smooth_ap(torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0]]), torch.tensor([0, 0, 1])))
    0.0
    """
    tau = positive("temperature", temperature)

    def judge(anchors: Anchors) -> tuple[Tensor, Tensor]:
        # Far behind all others, and finite: two that are not there differ by 0, not by NaN.
        scores = anchors.fill_own(-1e9).div_(tau)
        values, slopes = solve_smooth_ap(scores, anchors.positive.to(scores.dtype))
        return values, slopes.scatter_(1, anchors.own, 0.0).div_(tau)

    return mean_over_anchors(embeddings, targets, judge)


ENTRY = LossEntry(card=CARD, loss=retrieval_smooth_ap)
