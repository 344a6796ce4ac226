"""The cut into train, validation and test rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError
from metricopt._parts import Parts, split


def sizes(parts: Parts) -> tuple[int, int, int]:
    return len(parts.train), len(parts.val), len(parts.test)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (48_842, (34_190, 4_884, 9_768)),
        (581_012, (406_709, 58_101, 116_202)),
        (569, (400, 56, 113)),
        (30, (21, 3, 6)),
        (10, (7, 1, 2)),
    ],
)
def test_sizes_are_seventy_ten_twenty(rows: int, expected: tuple[int, int, int]) -> None:
    assert sizes(split(rows, seed=3)) == expected


@given(rows=st.integers(10, 500), seed=st.integers(0, 5), stratified=st.booleans())
def test_every_row_is_in_exactly_one_part(rows: int, seed: int, stratified: bool) -> None:
    labels = torch.zeros(rows) if stratified else None
    parts = split(rows, seed=seed, classes=labels)
    together = torch.cat([parts.train, parts.val, parts.test])
    assert together.sort().values.tolist() == list(range(rows))


def test_the_cut_depends_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    first = split(100, seed=1)
    state = torch.random.get_rng_state()
    torch.manual_seed(1)
    second, other = split(100, seed=1), split(100, seed=2)
    assert torch.equal(first.test, second.test)
    assert not torch.equal(first.test, other.test)
    torch.manual_seed(0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_random_cut_mixes_the_rows() -> None:
    assert 400 < float(split(1000, seed=0).test.double().mean()) < 600


def test_stratified_parts_have_the_shares_of_the_whole() -> None:
    labels = (torch.arange(1000) % 10 == 0).long()
    parts = split(1000, seed=0, classes=labels)
    assert [int(labels[part].sum()) for part in (parts.train, parts.val, parts.test)] == [70, 10, 20]
    assert sizes(parts) == (700, 100, 200)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"rows": 2}, "rows must be an integer of at least 3"),
        ({"rows": 9}, r"9 rows are too few .* would be \[8, 0, 1\]"),
        ({"rows": 100, "val": 0.5, "test": 0.5}, "val and test must be positive and below 1 together, got 0.5 and 0.5"),
        ({"rows": 100, "val": 0.0}, "val and test must be positive"),
        ({"rows": 100, "classes": torch.zeros(99)}, r"one class per row, \(100,\); got \(99,\)"),
    ],
)
def test_a_cut_that_cannot_be_made_is_an_error(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        split(**{"seed": 0, **arguments})  # type: ignore[arg-type]
