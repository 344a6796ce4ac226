"""Columns that the metric alone is told: row by row, in every part, of classes and numbers; mistakes in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metricopt._errors import ConfigError, DataError
from metricopt.apps.table.job import optimize_table
from metricopt.apps.table.request import TableRequest

#: Rates as told, and fails where it is told of other rows than it rates: the price says which class a row has.
METRIC = """
def saved(scores, targets, price):
    assert len(price) == len(targets) and ((price > 100) == (targets > 0)).all()
    flagged = scores > 0
    return (price[flagged & (targets > 0)].sum() - 5 * flagged.sum()) / price[targets > 0].sum()


def worst_region(scores, targets, told):
    assert ((told["price"] > 100) == (targets > 0)).all() and set(told) == {"region", "price"}
    right = (scores > 0) == (targets > 0)
    return min(right[told["region"] == region].mean() for region in (0, 1))


def costly(numbers, truth, weight):
    assert abs(weight - 2 * truth).max() < 1e-3
    return (weight * abs(numbers - truth)).sum() / weight.sum()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("beside")
    random = np.random.default_rng(0)
    x = random.normal(size=(900, 3))
    fraud = x[:, 0] + 0.7 * random.normal(size=900) > 1
    pay = 30 + 5 * x[:, 0] + random.normal(size=900)
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        region=np.where(random.random(900) < 0.3, "south", "north"),
        price=np.where(fraud, 101 + 50 * random.random(900), 50 * random.random(900)),
        pay=pay,
        weight=2 * pay,
        fraud=np.where(fraud, "yes", "no"),
    )
    frame.to_csv(home / "cases.csv", index=False)
    frame.assign(price=frame["price"].where(frame.index != 7)).to_csv(home / "gap.csv", index=False)
    frame.assign(price=frame["price"].where(frame.index != 7, np.inf)).to_csv(home / "endless.csv", index=False)
    (home / "own.py").write_text(METRIC)
    return home


def request(folder: Path, own: str, **choices: Any) -> TableRequest:
    choices = {"metric": f"{folder / 'own.py'}:{own}"} | choices
    usual: dict[str, Any] = {
        "path": folder / "cases.csv",
        "target": "fraud",
        "higher_is_better": True,
        "drop": ("price", "pay", "weight"),
        "method": ("random_search",),
        "calls": 70,
    }
    return TableRequest(**(usual | choices))


def test_a_column_reaches_the_metric_row_by_row(folder: Path, tmp_path: Path) -> None:
    wanted = request(folder, "saved", beside=("price",), bounds=(-5.0, 1.0))
    result = optimize_table(wanted, run=tmp_path / "run")
    assert result.summary.test is not None and result.summary.test.before > 0
    assert optimize_table(wanted, run=tmp_path / "run").again


def test_several_columns_come_by_name_and_text_as_numbers_that_are_told(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    optimize_table(request(folder, "worst_region", beside=("region", "price")), run=tmp_path / "run", say=told.append)
    assert "The metric is told 'region' as 0 north, 1 south." in told


def test_limits_and_turned_classes_are_told_too(folder: Path, tmp_path: Path) -> None:
    wanted = request(folder, "saved", beside=("price",), bounds=(-5.0, 1.0), subject_to=("recall >= 0.3",))
    assert optimize_table(wanted, run=tmp_path / "run").summary.test is not None
    with pytest.raises(ConfigError, match="AssertionError"):  # "no" is the positive class: prices tell other rows
        optimize_table(request(folder, "saved", beside=("price",), positive="no"), run=tmp_path / "other")


def test_of_numbers_in_their_own_units(folder: Path, tmp_path: Path) -> None:
    wanted = request(
        folder,
        "costly",
        target="pay",
        higher_is_better=False,
        beside=("weight",),
        bounds=(0.0, 60.0),
        drop=("fraud", "price", "weight"),
    )
    assert optimize_table(wanted, run=tmp_path / "run").summary.task == "regression"
    with pytest.raises(ConfigError, match="state it with --bounds LOW HIGH"):
        optimize_table(TableRequest(**(vars(wanted) | {"bounds": None})), run=tmp_path / "other")


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"metric": "f1", "higher_is_better": None, "beside": ("price",)}, "takes no third argument"),
        ({}, "name the columns that it is told of each row with --beside"),
        ({"beside": ("prise",)}, "did you mean 'price'"),
        ({"beside": ("price",), "path": "gap.csv"}, "column 'price' has 1 empty cells"),
        ({"beside": ("price",), "path": "endless.csv"}, "column 'price' holds infinity in 1 rows"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, tmp_path: Path, choices: dict[str, Any], told: str) -> None:
    if "path" in choices:
        choices = choices | {"path": folder / choices["path"]}
    with pytest.raises((ConfigError, DataError), match=told):
        optimize_table(request(folder, "saved", **choices), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
