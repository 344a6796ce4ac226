"""Differentiable ranks in O(n log n): projections onto the permutahedron."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._checks import positive
from .isotonic import falling_blocks


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
