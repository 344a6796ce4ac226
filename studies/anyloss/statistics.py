"""How sure a comparison over data sets is: wins, the Bayesian sign test, mean ranks and their critical difference."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from metricopt._checks import at_least, not_negative
from metricopt._errors import ConfigError
from metricopt._random import generator

#: Differences up to this are practically none: the region of practical equivalence.
ROPE = 0.01
#: Weight of the prior of the sign test, all of it on "practically the same".
PRIOR = 1.0
#: Parameters of a Dirichlet distribution must be positive.
_NOTHING = 1e-4
#: Means over folds that are equal differ in their last bits by the order of summation.
_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class SignTest:
    """A against B over data sets.

    Args:
        wins, ties, losses: data sets on which A is better by more than the region, no further off, and worse.
        better, same, worse: probabilities that this is what the next data set is most likely to bring.
    """

    wins: int
    ties: int
    losses: int
    better: float
    same: float
    worse: float


def sign_test(
    ours: Sequence[float], theirs: Sequence[float], *, rope: float = ROPE, draws: int = 100_000, seed: int = 0
) -> SignTest:
    """Bayesian sign test of Benavoli, Corani, Demšar, Zaffalon: Time for a Change, JMLR 18, 2017.

    The shares of data sets (better, same, worse) are Dirichlet(wins, ties + 1, losses); the three probabilities say
    how often each share is the largest of a draw.

    Args:
        ours, theirs: one value for each data set, higher is better.
        rope: differences up to this count as ties.
        draws: from the Dirichlet distribution; the error of a probability is at most 0.5 / sqrt(draws).
        seed: of the draws.

    >>> found = sign_test([0.9, 0.8, 0.9, 0.7, 0.9], [0.5, 0.6, 0.895, 0.6, 0.5])
    >>> found.wins, found.ties, found.losses, round(found.better, 1)
    (4, 1, 0, 0.8)
    """
    at_least("draws", draws, 1)
    not_negative("rope", rope)
    differences = [round(a - b, _DIGITS) for a, b in zip(ours, theirs, strict=True)]
    wins, losses = sum(d > rope for d in differences), sum(d < -rope for d in differences)
    ties = len(differences) - wins - losses
    better, same, worse = _largest(wins, ties, losses, draws, seed)
    return SignTest(wins=wins, ties=ties, losses=losses, better=better, same=same, worse=worse)


@functools.cache
def _largest(wins: int, ties: int, losses: int, draws: int, seed: int) -> tuple[float, float, float]:
    """How often each share is the largest. Few data sets have few different counts, so many questions are the same."""
    weights = torch.tensor([wins, ties + PRIOR, losses], dtype=torch.float64) + _NOTHING
    source = generator(seed, "sign test", wins, ties, losses)
    # Gamma draws divided by their sum are Dirichlet; which one is the largest does not need the sum.
    gammas = torch._standard_gamma(weights.expand(draws, 3), generator=source)
    better, same, worse = (torch.bincount(gammas.argmax(dim=1), minlength=3) / draws).tolist()
    return better, same, worse


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Mean ranks of contenders over data sets, 1 is best.

    Args:
        mean: one for each contender.
        sets: over how many data sets.
        critical: mean ranks that are closer than this are not told apart (Nemenyi); None with fewer than two sets.
        p_value: of the Friedman test that all contenders are alike; None with fewer than two sets.
    """

    mean: tuple[float, ...]
    sets: int
    critical: float | None
    p_value: float | None

    def groups(self) -> list[tuple[int, ...]]:
        """The largest sets of contenders, by position and best first, that the critical difference does not tell apart.

        A set of one is left out.
        """
        if self.critical is None:
            return []
        order = sorted(range(len(self.mean)), key=lambda i: self.mean[i])
        found: list[tuple[int, ...]] = []
        last = 0
        for begin in range(len(order)):
            near = [i for i in order[begin:] if self.mean[i] - self.mean[order[begin]] <= self.critical]
            if len(near) > 1 and begin + len(near) > last:
                found.append(tuple(near))
                last = begin + len(near)
        return found


def rank(values: Sequence[Sequence[float]], *, level: float = 0.05) -> Ranks:
    """Rank contenders on each data set, equal values sharing their ranks, and average.

    Args:
        values: for each data set one value for each contender, higher is better.
        level: of the Nemenyi test.

    >>> rank([[0.9, 0.8, 0.7], [0.9, 0.9, 0.1]]).mean
    (1.25, 1.75, 3.0)
    """
    from scipy.stats import friedmanchisquare, rankdata

    if not values or len(values[0]) < 2:
        raise ConfigError(f"ranks need one data set and two contenders at least, got {[list(row) for row in values]}")
    ranks = [rankdata([-round(value, _DIGITS) for value in row]) for row in values]
    count, contenders = len(values), len(values[0])
    mean = tuple(math.fsum(row[i] for row in ranks) / count for i in range(contenders))
    if count < 2:
        return Ranks(mean=mean, sets=count, critical=None, p_value=None)
    alike = all(len(set(row.tolist())) == 1 for row in ranks)
    if contenders > 2 and not alike:
        p_value = float(friedmanchisquare(*([row[i] for row in ranks] for i in range(contenders))).pvalue)
    else:
        p_value = None  # the test is not defined
    return Ranks(mean=mean, sets=count, critical=critical_difference(contenders, count, level=level), p_value=p_value)


def critical_difference(contenders: int, sets: int, *, level: float = 0.05) -> float:
    """Nemenyi: `q sqrt(k (k + 1) / (6 n))`, q the quantile of the studentised range over sqrt 2 (Demšar, JMLR 7, 2006).

    >>> round(critical_difference(4, 14), 3)
    1.254
    """
    at_least("contenders", contenders, 2)
    at_least("sets", sets, 1)
    return _quantile(contenders, level) * math.sqrt(contenders * (contenders + 1) / (6 * sets))


@functools.cache
def _quantile(contenders: int, level: float) -> float:
    """It is found by numerical integration, which takes a second."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - level, contenders, math.inf)) / math.sqrt(2)
