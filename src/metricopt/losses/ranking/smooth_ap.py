"""Average precision with sigmoids in the place of ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..pair_blocks import PositivesFirst, positives_first
from ..rows import as_rows, mean_where, solve_rows

CARD = Card(
    name="smooth_ap",
    title="SmoothAP: average precision with soft ranks",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("average_precision",),
    cost="O(positives x n)",
    bounds=(0.0, 1.0),
    paper="Brown et al., Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval, ECCV 2020",
)


@full_precision
def smooth_ap(scores: Tensor, targets: Tensor, *, temperature: float = 0.3) -> Tensor:
    """`1 - mean_p (1 + sum_{j in P - p} G_pj) / (1 + sum_{j != p} G_pj)`, `G_pj = sigmoid((s_j - s_p) / tau)`.

    The sums stand for the ranks of p among the positives and among all. Pairs are visited a block at a time, value
    and gradient in one pass: the memory does not grow with the number of pairs. First derivative only.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`. Each column is one list; for retrieval see
            `smooth_ap_retrieval`, which reads embeddings.
        targets: as for `cross_entropy`. A multiclass column ranks the log-odds of its class against the rest.
        temperature: tau, > 0, in units of scores: what is a small difference between two of them.

    Returns:
        A scalar in [0, 1]: the mean over the columns that have positives, 0 where none has.

    Raises:
        ConfigError: shapes that fit no kind, or a temperature that is not positive.

    Differs from the paper: tau is 0.3, made for logits; the paper's 0.01 is made for cosines. The list is a batch of
    scores, not the similarities to one query.

    Beside the authors' code, on the rows of a matrix of similarities (64 embeddings, tau = 0.01, float32): value equal,
    gradient to 6e-7.

    >>> import torch
    >>> round(float(smooth_ap(torch.tensor([0.0, 9.0, 5.0]), torch.tensor([1, 0, 1]))), 4)
    0.4167
    """
    tau = positive("temperature", temperature)
    rows, truth = as_rows(scores, targets)
    values = solve_rows(rows / tau, truth, solve_smooth_ap)
    return mean_where(values, (truth > 0).any(dim=-1))


def solve_smooth_ap(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """`1 - AP` of each row at temperature 1, and its gradient.

    Args:
        scores: `(rows, n)`; an example whose score is very low, but finite, is as good as not there.
        truth: `(rows, n)` in {0, 1}.
    """
    first = positives_first(scores, truth)
    values = scores.new_zeros(scores.shape[0])
    slopes = torch.zeros_like(first.scores)
    count = first.truth.sum(dim=-1)
    for rows, block in first.blocks(scores.shape[1]):
        _one_block(first, count[rows].clamp(min=1), rows, block, values, slopes)
    return (count > 0).to(values) - values, first.back(slopes)


def _one_block(first: PositivesFirst, count: Tensor, rows: slice, block: slice, values: Tensor, slopes: Tensor) -> None:
    """Add what the positives of one block contribute to the AP of their rows and to its negative slope."""
    weight = first.truth[rows, block] / count[:, None]
    gap = first.scores[rows, None, :] - first.scores[rows, block, None]
    soft = gap.sigmoid_()
    wanted = first.truth[rows, None, : first.most]
    # An example counts 1/2 against itself, and 1 in its rank.
    among, everywhere = _weighed(soft, wanted).add_(0.5), soft.sum(dim=-1).add_(0.5)
    values[rows] += (weight * among / everywhere).sum(dim=-1)
    bend = soft.addcmul_(soft, soft, value=-1)  # G' = G (1 - G)
    up, down = weight / everywhere, weight * among / everywhere.square()  # AP rises with `among`, falls with the rest
    moved = torch.stack((up, down), dim=-2) @ bend
    slopes[rows] += moved[:, 1] - moved[:, 0] * first.truth[rows]
    slopes[rows, block] += up * _weighed(bend, wanted) - down * bend.sum(dim=-1)


def _weighed(pairs: Tensor, wanted: Tensor) -> Tensor:
    """Sum over the positives, which stand in front; a product with two columns for both sums is ten times slower."""
    total: Tensor = torch.linalg.vecdot(pairs[..., : wanted.shape[-1]], wanted)
    return total


ENTRY = LossEntry(card=CARD, loss=smooth_ap)
