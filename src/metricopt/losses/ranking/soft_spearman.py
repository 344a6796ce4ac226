"""One minus the rank correlation of scores and targets, through soft ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import positive
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..rows import mean_where
from ..shapes import as_lists
from .isotonic import falling_blocks
from .places import mean_ranks


def soft_ranks(scores: Tensor, *, strength: float = 1.0) -> Tensor:
    """Ranks in (0, 1], 1 for the highest score: the projection of `scores / strength` onto the permutahedron.

    `r = z - v`, with `z = scores / strength` in falling order and v the falling sequence closest to
    `z - (n, n-1, ..., 1) / n`, put back in order. Scores further apart than `strength / n` times their distance in
    ranks get their hard ranks, and no gradient; those that are closer share a block, inside which r is linear in the
    scores. With a small strength r is the hard ranks, with a large one linear in all scores. Differentiable twice,
    computed in float64.

    Args:
        scores: `(rows, n)`.
        strength: > 0, in units of scores.

    Raises:
        ConfigError: a strength that is not positive.

    Differs from the paper (Blondel et al., Fast Differentiable Sorting and Ranking, ICML 2020, quadratic form): ranks
    are divided by n, so that a strength means the same for every n (the paper's is an n-th of this one), and the
    highest score has the highest rank.

    Beside the authors' fast-soft-sort, n = 4,096, float32: equal, value and gradient.

    >>> soft_ranks(torch.tensor([[0.0, 9.0, 8.0]]), strength=0.1)
    tensor([[0.3333, 1.0000, 0.6667]])
    >>> soft_ranks(torch.tensor([[0.0, 0.3, 0.6]]), strength=3.0)
    tensor([[0.5667, 0.6667, 0.7667]])
    """
    wide = scores.double() / positive("strength", strength)
    falling, order = torch.sort(wide, dim=-1, descending=True)
    n = scores.shape[-1]
    ranks = torch.arange(n, 0, -1, dtype=torch.float64, device=scores.device) / n
    excess = falling - ranks
    block = falling_blocks(excess)
    empty = torch.zeros_like(excess)
    sizes = empty.scatter_add(-1, block, torch.ones_like(excess)).clamp(min=1)
    means = empty.scatter_add(-1, block, excess) / sizes
    soft = falling - means.gather(-1, block)
    return empty.scatter(-1, order, soft).to(scores.dtype)


CARD = Card(
    name="soft_spearman",
    title="One minus Spearman's correlation, with differentiable ranks",
    targets=("ranking",),
    aims_at=("spearman", "ndcg"),
    cost="O(n log n)",
    bounds=(0.0, 2.0),
    paper="Blondel et al., Fast Differentiable Sorting and Ranking, ICML 2020",
)


@full_precision
def soft_spearman(scores: Tensor, targets: Tensor, *, strength: float = 1.0) -> Tensor:
    """`1 - <r, t> / (|t| |w|)`: r the soft ranks of the scores, t the ranks of the targets, w = 1..n; all centred.

    Where scores are far apart, r are hard ranks and the value is `1 - spearman` (for targets without ties). Scores that
    are all equal have the value 1. Differentiable twice.

    Args:
        scores: one list `(n,)`, or `(rows, n)`.
        targets: what the scores should be ordered like, of the same shape; any numbers, larger is higher. Equal
            targets share the mean of their ranks.
        strength: see `soft_ranks`, in units of scores.

    Returns:
        A scalar in [0, 2]: the mean over the lists whose targets are not all equal, 0 where there is none.

    Raises:
        ConfigError: shapes that fit no kind, or a strength that is not positive.

    Differs from the paper: divided by the length of the hard ranks and not by that of the soft ones, which is
    zero where all scores are equal; the paper's squared distance between r and t has the same gradient up to
    a pull of r towards its mean.

    >>> import torch
    >>> round(float(soft_spearman(torch.tensor([1.0, 9.0, 5.0]), torch.tensor([0.1, 0.2, 0.3]))), 4)
    0.5
    """
    rows, wanted = as_lists(scores, targets)
    n = rows.shape[-1]
    soft = soft_ranks(rows.double(), strength=strength)
    aim = mean_ranks(-wanted.double())
    aim = aim - aim.mean(dim=-1, keepdim=True)
    length = aim.square().sum(dim=-1)
    counts = length > 0
    whole = max(n * n - 1, 1) / (12 * n)  # |w|^2, ranks being divided by n as the soft ones are
    cosine = (soft * aim).sum(dim=-1) / (whole * length.clamp(min=0.25)).sqrt()
    return mean_where(1 - cosine, counts).to(scores.dtype)


ENTRY = LossEntry(card=CARD, loss=soft_spearman)
