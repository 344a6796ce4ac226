"""Black-box ranks in slow NumPy, for the losses that are built on them."""

from __future__ import annotations

import numpy as np

from loss_twin import Array


def ranks(scores: Array) -> Array:
    """1 for the highest; equal scores share the mean of their ranks."""
    return np.array([np.mean([r + 1 for r, s in enumerate(sorted(scores, reverse=True)) if s == x]) for x in scores])


def backward(scores: Array, slope: Array, strength: float) -> Array:
    """`-(rk(s) - rk(s + lambda g)) / lambda` with lambda = strength / max |g|."""
    if not slope.any():
        return np.zeros_like(scores)
    size = strength / np.abs(slope).max()
    return -(ranks(scores) - ranks(scores + size * slope)) / size


def through_ranks(scores: Array, wanted: Array, cost: Array, slopes: tuple[Array, Array], strength: float) -> Array:
    """Gradient in the scores of a loss with these slopes in the ranks among all and among the wanted."""
    everywhere = backward(scores, np.where(cost > 0, slopes[0], 0.0), strength)
    inside = np.flatnonzero(wanted)
    among = np.zeros_like(scores)
    among[inside] = backward(scores[inside], np.where(cost > 0, slopes[1], 0.0)[inside], strength)
    return everywhere + among


def both_ranks(scores: Array, wanted: Array) -> tuple[Array, Array]:
    """Rank of each among all, and of the wanted among the wanted (0 for the others)."""
    among = np.zeros_like(scores)
    among[wanted] = ranks(scores[wanted])
    return ranks(scores), among
