"""The statistics of the AnyLoss study against published tables and an exact twin."""

from __future__ import annotations

import math

import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from metricopt._errors import ConfigError
from studies.anyloss.statistics import critical_difference, rank, sign_test


def exact(wins: int, ties: int, losses: int) -> list[float]:
    """How often each share of a Dirichlet draw is the largest: shares are ordered as the gammas that they are made
    of."""
    weights = [wins + 1e-4, ties + 1 + 1e-4, losses + 1e-4]
    found = []
    for i, own in enumerate(weights):
        others = [gamma(weight) for j, weight in enumerate(weights) if j != i]
        # Substituting the distribution function keeps the integrand bounded where the density is not.
        found.append(
            quad(lambda u, own=own, others=others: math.prod(o.cdf(gamma.ppf(u, own)) for o in others), 0, 1)[0]
        )
    return found


@pytest.mark.parametrize("counts", [(3, 2, 1), (12, 5, 3), (0, 20, 0), (9, 0, 9), (16, 3, 1), (0, 0, 4)])
def test_the_sign_test_is_the_exact_probability(counts: tuple[int, int, int]) -> None:
    wins, ties, losses = counts
    ours = [0.9] * wins + [0.505] * ties + [0.1] * losses
    found = sign_test(ours, [0.5] * len(ours))
    assert (found.wins, found.ties, found.losses) == counts
    # 100,000 draws: five standard errors.
    assert [found.better, found.same, found.worse] == pytest.approx(exact(*counts), abs=0.008)


def test_sides_change_with_the_order() -> None:
    ours, theirs = [0.9, 0.8, 0.7, 0.6, 0.5], [0.5, 0.5, 0.69, 0.7, 0.1]
    one, other = sign_test(ours, theirs), sign_test(theirs, ours)
    assert (one.wins, one.losses) == (other.losses, other.wins) == (3, 1)
    assert one.better == pytest.approx(other.worse, abs=0.008)


def test_a_difference_as_large_as_the_region_is_a_tie() -> None:
    assert sign_test([0.75], [0.5], rope=0.25).ties == 1
    assert sign_test([0.75], [0.5], rope=0.24).wins == 1


#: Table 5a of Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006.
Q_05 = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("contenders", "q"), Q_05.items())
def test_the_critical_difference_is_that_of_the_published_table(contenders: int, q: float) -> None:
    expected = q * math.sqrt(contenders * (contenders + 1) / (6 * 20))
    assert critical_difference(contenders, 20) == pytest.approx(expected, rel=5e-4)


def test_equal_values_share_their_ranks_also_where_rounding_differs() -> None:
    assert rank([[0.1 + 0.2, 0.3, 0.1], [0.5, 0.5, 0.5]]).mean == (1.75, 1.75, 2.5)
    assert rank([[0.5, 0.5, 0.5]] * 3).p_value is None


def test_groups_are_the_longest_runs_within_the_critical_difference() -> None:
    values = [[0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.1, 0.2]] * 10
    found = rank(values)
    assert found.mean == (1.0, 2.0, 3.5, 3.5)
    assert found.critical == pytest.approx(1.05, abs=0.01)
    assert found.groups() == [(0, 1), (2, 3)]
    assert found.p_value is not None
    assert found.p_value < 1e-6


def test_one_data_set_has_ranks_and_nothing_else() -> None:
    found = rank([[0.9, 0.8]])
    assert (found.mean, found.critical, found.p_value, found.groups()) == ((1.0, 2.0), None, None, [])
    with pytest.raises(ConfigError, match="one data set and two contenders"):
        rank([])
