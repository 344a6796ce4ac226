"""Paired differences over seeds, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Every interval of a table covers the mean in this share of experiments.
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean difference over `n` seeds and half the width of its 95 % t-interval; None with a single seed."""

    mean: float
    half: float | None
    n: int

    @property
    def verdict(self) -> int:
        """1 where the interval lies above zero, -1 where it lies below, 0 where it holds zero or is not known."""
        if self.half is None or abs(self.mean) <= self.half:
            return 0
        return 1 if self.mean > 0 else -1


def paired_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Student's interval of mean(ours - theirs): mean +- t(0.975, n - 1) * s / sqrt(n).

    Args:
        ours, theirs: one value per seed, in the same order of seeds.

    >>> paired_interval([0.3, 0.5, 0.4], [0.1, 0.2, 0.3]).verdict
    0
    >>> paired_interval([0.31, 0.42, 0.33], [0.1, 0.2, 0.1]).verdict
    1
    """
    from scipy.special import stdtrit

    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    n = len(differences)
    mean = math.fsum(differences) / n
    if n < 2:
        return Interval(mean=mean, half=None, n=n)
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    return Interval(mean=mean, half=float(stdtrit(n - 1, (1 + LEVEL) / 2)) * spread / math.sqrt(n), n=n)
