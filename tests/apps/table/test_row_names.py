"""Columns that name their rows are told of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from metricopt.apps.table.file import read_table
from metricopt.apps.table.job import settled
from metricopt.apps.table.request import TableRequest
from metricopt.apps.table.row_names import note_on, row_names
from people import people

ROWS = 80


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (range(7, 7 + ROWS), True),
        ([f"person {i}" for i in range(ROWS)], True),
        ([f"person {i}" for i in range(ROWS - 10)] + [None] * 10, True),
        ([f"person {i // 2}" for i in range(ROWS)], False),
        ([3 * i for i in range(ROWS)], False),  # numbers that are apart may well say something
        ([float(i) for i in range(ROWS)], False),
        (pd.date_range("2020-01-01", periods=ROWS), False),
        ([i % 2 == 0 for i in range(ROWS)], False),
    ],
)
def test_what_is_different_in_every_row(values: object, named: bool) -> None:
    assert row_names(pd.DataFrame({"column": values})) == (["column"] if named else [])


def test_few_rows_say_nothing() -> None:
    assert row_names(pd.DataFrame({"id": range(20)})) == []


def test_two_are_told_in_one_sentence() -> None:
    assert note_on([]) == ()
    (told,) = note_on(["id", "note"])
    assert told.startswith("The columns 'id', 'note' are different in nearly every row, so nothing can be learned")
    assert told.endswith("from them; --drop id,note leaves them out.")


def test_the_job_says_so_unless_it_is_dropped(tmp_path: Path) -> None:
    path = people(tmp_path / "people.csv", rows=100)
    frame = pd.read_csv(path)
    frame["key"] = [f"k{i}" for i in range(len(frame))]
    frame.to_csv(path, index=False)
    for drop, said in (((), True), (("key",), False)):
        wanted = TableRequest(path=path, target="income", metric="f1", drop=drop)
        assert any("'key'" in note for note in settled(wanted, read_table(path))[2]) is said
