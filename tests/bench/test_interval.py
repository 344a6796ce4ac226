"""Paired intervals equal SciPy's, and a mark stands only where zero is excluded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metricopt.bench.interval import Interval, paired_interval

values = st.floats(min_value=0, max_value=1, allow_nan=False)


@given(st.lists(st.tuples(values, values), min_size=2, max_size=12))
def test_it_is_the_interval_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = map(list, zip(*pairs, strict=True))
    interval = paired_interval(ours, theirs)
    differences = np.array(ours) - np.array(theirs)
    assert interval.n == len(pairs)
    assert interval.mean == pytest.approx(differences.mean(), abs=1e-12)
    assert interval.half is not None
    expected = stats.t.ppf(0.975, len(pairs) - 1) * differences.std(ddof=1) / np.sqrt(len(pairs))
    assert interval.half == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_it_agrees_with_scipys_own_confidence_interval() -> None:
    source = np.random.default_rng(0)
    ours, theirs = source.normal(0.7, 0.01, 10), source.normal(0.69, 0.01, 10)
    interval = paired_interval(ours.tolist(), theirs.tolist())
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert interval.half is not None
    assert (interval.mean - interval.half, interval.mean + interval.half) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [(0.2, 0.1, 1), (-0.2, 0.1, -1), (0.1, 0.1, 0), (0.05, 0.1, 0), (0.0, 0.0, 0), (0.2, 0.0, 1), (0.2, None, 0)],
)
def test_the_verdict_needs_an_interval_without_zero(mean: float, half: float | None, verdict: int) -> None:
    assert Interval(mean=mean, half=half, n=3).verdict == verdict


def test_one_seed_has_no_interval() -> None:
    assert paired_interval([0.5], [0.25]) == Interval(mean=0.25, half=None, n=1)
