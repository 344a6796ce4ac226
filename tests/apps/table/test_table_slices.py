"""Groups of a table: one for each value of a column, halves of numbers, clusters; mistakes in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from metricopt._errors import ConfigError, DataError
from metricopt.apps.table.job import optimize_table
from metricopt.apps.table.model import TableEncoder
from metricopt.apps.table.request import TableRequest
from metricopt.apps.table.slices import table_slices
from metricopt.profiles import Slices

ROWS = 400
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "region": np.where(RANDOM.random(ROWS) < 0.3, "south", "north"),
        "grade": RANDOM.integers(1, 4, ROWS),
        "age": RANDOM.normal(40, 10, ROWS),
        "gap": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.normal(size=ROWS)),
        "zero": np.maximum(RANDOM.normal(size=ROWS), 0.0),
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 900, ROWS), unit="D"),
    }
)
ENCODER = TableEncoder.fit(FRAME)
INPUTS = ENCODER.transform(FRAME)


def found(*wanted: str) -> tuple[Slices, torch.Tensor]:
    slices = table_slices(wanted, ENCODER, INPUTS)
    assert isinstance(slices, Slices)
    return slices, slices(INPUTS).bool()


@pytest.mark.parametrize(
    ("column", "groups"),
    [
        ("region", {"region = north": FRAME.region == "north", "region = south": FRAME.region == "south"}),
        ("grade", {f"grade = {grade}": FRAME.grade == grade for grade in (1, 2, 3)}),
        ("gap", {"gap is missing": FRAME.gap.isna()}),
        ("zero", {"zero <= 0": FRAME.zero <= 0, "zero > 0": FRAME.zero > 0}),
    ],
)
def test_each_value_of_a_column_is_a_group(column: str, groups: dict[str, Any]) -> None:
    slices, members = found(column)
    for name, rows in groups.items():
        assert members[:, list(slices.names).index(name)].tolist() == rows.tolist()
    assert bool((members.sum(dim=1) == 1).all())  # each row is in one


def test_numbers_and_dates_are_cut_at_the_median() -> None:
    for column in ("age", "since"):
        slices, members = found(column)
        assert members.sum(dim=0).tolist() == pytest.approx([ROWS / 2, ROWS / 2], abs=3)
        assert slices.names[0].startswith(f"{column} <= {'38.9' if column == 'age' else '2021-0'}")
    both, members = found("region", "age")
    assert len(both.names) == 4 and bool((members.sum(dim=1) == 2).all())


def test_values_that_training_rows_did_not_have_are_in_no_group() -> None:
    later = pd.DataFrame(FRAME.iloc[:3]).assign(region=["west", None, "south"], grade=[9, 2, 1])
    slices = found("region", "grade")[0]
    members = slices(ENCODER.transform(later)).bool()
    assert members.sum(dim=1).tolist() == [0, 1, 2]


def test_no_slices_and_clusters() -> None:
    assert table_slices((), ENCODER, INPUTS) is None
    assert table_slices(("5",), ENCODER, INPUTS) == 5


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("slices")
    random = np.random.default_rng(1)
    x, old = random.normal(size=(1200, 4)), random.random(1200) < 0.4
    y = x[:, 0] + np.where(old, -0.8, 0.5) * x[:, 1] + 0.7 * random.normal(size=1200) > 0.8
    frame = pd.DataFrame(x, columns=list("abcd")).assign(old=np.where(old, "yes", "no"), one="same", y=y.astype(int))
    frame.to_csv(home / "cases.csv", index=False)
    (home / "own.py").write_text(
        "def worst(scores, targets, old):\n"
        "    right = (scores > 0) == (targets > 0)\n"
        "    return min(right[(old == g) & (targets == k)].mean() for g in (0, 1) for k in (0, 1))\n"
    )
    return home


def request(table: Path, **choices: Any) -> TableRequest:
    usual: dict[str, Any] = {
        "path": table / "cases.csv",
        "target": "y",
        "metric": f"{table / 'own.py'}:worst",
        "higher_is_better": True,
        "bounds": (0.0, 1.0),
        "beside": ("old",),
        "calls": 80,
    }
    return TableRequest(**(usual | choices))


def test_the_result_says_in_which_group_the_metric_was_rewarded(table: Path, tmp_path: Path) -> None:
    result = optimize_table(request(table, slices=("old",)), run=tmp_path / "run")
    assert "old = " in result.summary.reading
    clustered = optimize_table(request(table, slices=("2",)), run=tmp_path / "other")
    assert "old = " not in clustered.summary.reading
    assert optimize_table(request(table, slices=("old",)), run=tmp_path / "run").again
    with pytest.raises(ConfigError, match="slices"):
        optimize_table(request(table), run=tmp_path / "run")


@pytest.mark.parametrize(
    ("choices", "error", "told"),
    [
        ({"slices": ("1",)}, ConfigError, "--slices takes 2 to 64 clusters, or names of columns, got 1"),
        ({"slices": ("odl",)}, DataError, "did you mean 'old'"),
        ({"slices": ("old",), "drop": ("old",)}, ConfigError, "names 'old', which the network does not read"),
        ({"slices": ("y",)}, ConfigError, "names 'y', which the network does not read"),
        ({"slices": ("one",)}, ConfigError, "--slices one makes 0 groups"),
    ],
)
def test_slices_that_cannot_be_told(table: Path, tmp_path: Path, choices: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        optimize_table(request(table, **choices), run=tmp_path / "run")
