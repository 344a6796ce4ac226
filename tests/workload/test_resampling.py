"""Resamples: shares kept, duplicates avoided, spread equal to that of fresh data."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt.workload import resample, resampling_of, spread_factor


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(2, 60), st.integers(0, 5))
def test_half_a_set_holds_no_duplicates(count: int, seed: int) -> None:
    drawn = resample(torch.rand(count), "sets", generator=source(seed))
    assert len(drawn) == len(drawn.unique()) == count // 2


def test_half_a_set_keeps_the_shares_of_classes() -> None:
    targets = torch.arange(100) % 2
    for seed in range(5):
        assert torch.bincount(targets[resample(targets, "sets", generator=source(seed))]).tolist() == [25, 25]


def test_groups_stay_together() -> None:
    groups = torch.arange(60) // 6
    drawn = resample(torch.rand(60), "sets", generator=source(), groups=groups)
    assert torch.bincount(groups[drawn], minlength=10).unique().tolist() == [0, 6]
    assert len(groups[drawn].unique()) == 5


@pytest.mark.parametrize("how", ["rows", "sets"])
@pytest.mark.parametrize("count", [80, 81])
def test_the_spread_is_that_of_the_mean_of_fresh_rows(how: str, count: int) -> None:
    """The standard error of a mean is known: sd / sqrt(n)."""
    values, generator = torch.randn(count, dtype=torch.float64, generator=source()), source(1)
    means = torch.stack([values[resample(values, how, generator=generator)].mean() for _ in range(4000)])  # type: ignore[arg-type]
    found = float(means.std()) * spread_factor(how, count)  # type: ignore[arg-type]
    expected = float(values.std()) / count**0.5
    # 4,000 draws tell a spread to 1 / sqrt(8000), and n against n - 1 is another half of a percent.
    assert found == pytest.approx(expected, rel=0.045)


def test_records_are_drawn_like_rows() -> None:
    drawn = resample([{"boxes": i} for i in range(10)], "sets", generator=source())
    assert len(drawn.unique()) == 5


def test_how_examples_are_drawn() -> None:
    groups = torch.zeros(3, dtype=torch.long)
    assert resampling_of(None, "binary", None) == "rows"
    assert resampling_of(None, "embeddings", None) == resampling_of(None, "boxes", None) == "sets"
    assert resampling_of(None, "binary", groups) == resampling_of("rows", "binary", groups) == "sets"
    assert resampling_of("none", "binary", groups) == "none"
    assert resampling_of("rows", "embeddings", None) == "rows"
