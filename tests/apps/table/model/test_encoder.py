"""Tables of mixed columns as tensors."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import CheckpointError, ConfigError, DataError
from metricopt._typed import from_json, from_plain, to_json
from metricopt.apps.table.model import TableEncoder


def mixed(rows: int = 40) -> pd.DataFrame:
    """One column of each kind, with gaps."""
    random = np.random.default_rng(0)
    gap = np.arange(rows) % 8 == 0
    day = pd.Timestamp("2024-03-01")
    return pd.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "income": np.where(gap, np.nan, random.lognormal(10, 1, rows)),
            "children": pd.array([None if g else i % 4 for i, g in enumerate(gap)], dtype="Int64"),
            "member": np.arange(rows) % 2 == 0,
            "city": pd.Series([None if g else "ab"[i % 2] for i, g in enumerate(gap)], dtype="string"),
            "plan": pd.Categorical([("free", "paid", "gold")[i % 3] for i in range(rows)]),
            "since": pd.Series([day + pd.Timedelta(days=i) for i in range(rows)]).dt.tz_localize("Europe/Berlin"),
            "mixed": [i if i % 2 else f"n{i % 4}" for i in range(rows)],
            "always": 7,
        }
    )


def test_a_frame_of_every_kind_becomes_finite_numbers_of_about_unit_size() -> None:
    table = mixed()
    encoder = TableEncoder.fit(table)
    encoded = encoder.transform(table)
    assert encoded.dtype == torch.float32
    assert encoded.shape == (len(table), encoder.width) == (len(table), len(encoder.labels))
    assert bool(encoded.isfinite().all())
    assert float(encoded.abs().max()) <= 3
    assert "income is missing" in encoder.labels and "age is missing" not in encoder.labels
    assert {"plan = free", "plan = gold", "city = a", "city is missing"} <= set(encoder.labels)
    assert not any(label.startswith("always") for label in encoder.labels)


def test_numbers_follow_the_formula() -> None:
    values = np.array([1.0, 2.0, 3.0, 5.0, np.nan, 1000.0])
    encoder = TableEncoder.fit(values[:, None])
    there = values[~np.isnan(values)]
    first, center, third = np.quantile(there, [0.25, 0.5, 0.75])
    units = (np.where(np.isnan(values), center, values) - center) / (third - first)
    expected = np.stack([units / np.sqrt(1 + (units / 3) ** 2), np.isnan(values)], axis=1)
    # float32 of float64 arithmetic
    np.testing.assert_allclose(encoder.transform(values[:, None]).numpy(), expected, rtol=1e-6)


def test_a_missing_value_in_training_rows_is_the_median_and_is_marked() -> None:
    encoder = TableEncoder.fit(np.array([[1.0], [2.0], [9.0], [np.nan]]))
    assert encoder.transform(np.array([[np.nan], [2.0]])).tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_a_column_that_was_never_missing_takes_the_median_for_a_gap() -> None:
    encoder = TableEncoder.fit(np.array([[1.0], [2.0], [9.0]]))
    assert encoder.transform(np.array([[np.nan]])).tolist() == [[0.0]]


@given(st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=30), st.floats(-1e300, 1e300))
def test_any_finite_number_stays_in_range_and_order_is_kept(values: list[float], other: float) -> None:
    encoder = TableEncoder.fit(np.array(values)[:, None])
    both = encoder.transform(np.array([[min(values)], [other], [max(values)]]))
    assert bool(both.isfinite().all()) and float(both.abs().max()) <= 3 * (1 + 1e-6)
    if min(values) <= other <= max(values):
        assert both[0, 0] <= both[1, 0] <= both[2, 0]


def test_rare_and_unseen_levels_share_a_column() -> None:
    table = pd.DataFrame({"c": ["a"] * 6 + ["b"] * 5 + ["x", "y"]})
    encoder = TableEncoder.fit(table, min_count=5)
    assert encoder.labels == ("c = a", "c = b", "c is another")
    new = encoder.transform(pd.DataFrame({"c": ["a", "x", "holdout"]}))
    assert new.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_what_training_rows_never_had_is_encoded_as_their_average() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"c": ["a"] * 3 + ["b"]}), min_count=1)
    assert encoder.transform(pd.DataFrame({"c": ["holdout", None]})).tolist() == [[0.75, 0.25], [0.75, 0.25]]


def test_only_the_most_frequent_levels_get_a_column() -> None:
    table = pd.DataFrame({"c": [f"level {i}" for i in range(50) for _ in range(i + 1)]})
    encoder = TableEncoder.fit(table, max_levels=3, min_count=1)
    assert encoder.labels == ("c = level 49", "c = level 48", "c = level 47", "c is another")


def test_an_array_of_objects_is_read_by_what_its_values_are() -> None:
    table = np.array([[1, "a", datetime.date(2024, 1, 1), True], [2.5, None, None, False]] * 3, dtype=object)
    encoder = TableEncoder.fit(table, min_count=1)
    assert encoder.labels == ("x0", "x1 = a", "x1 is missing", "x2 is missing", "x3")


def test_numbers_as_categories_are_known_in_whatever_type_they_come() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"c": pd.Categorical([1, 2, 1, 2])}), min_count=1)
    wanted = [[1.0, 0.0], [0.0, 1.0]]
    assert encoder.labels == ("c = 1", "c = 2")
    assert encoder.transform(pd.DataFrame({"c": [1, 2]})).tolist() == wanted
    assert encoder.transform(pd.DataFrame({"c": [1.0, 2.0]})).tolist() == wanted


def test_dates_in_other_zones_are_the_same_moment() -> None:
    moments = pd.Series(pd.date_range("2024-01-01", periods=9, freq="7h", tz="UTC"))
    encoder = TableEncoder.fit(pd.DataFrame({"t": moments}))
    there = encoder.transform(pd.DataFrame({"t": moments.dt.tz_convert("Asia/Tokyo")}))
    assert torch.equal(there, encoder.transform(pd.DataFrame({"t": moments})))
    objects = pd.DataFrame({"t": np.array([m.to_pydatetime() for m in moments], dtype=object)})
    assert torch.equal(encoder.transform(objects), there)


def test_a_table_of_constants_is_one_column_of_zeros() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"a": [1, 1], "b": ["x", "x"], "c": [None, None]}))
    assert encoder.labels == () and encoder.width == 1
    assert encoder.transform(pd.DataFrame({"a": [5], "b": ["y"], "c": [None]})).tolist() == [[0.0]]


def test_columns_of_a_frame_are_found_by_name() -> None:
    table = mixed()
    encoder = TableEncoder.fit(table)
    assert torch.equal(encoder.transform(table[table.columns[::-1]]), encoder.transform(table))


def test_rows_are_encoded_one_by_one() -> None:
    table = mixed()
    encoder = TableEncoder.fit(table)
    whole = encoder.transform(table)
    assert torch.equal(torch.cat([encoder.transform(table.iloc[i : i + 1]) for i in range(len(table))]), whole)


def test_saved_settings_are_json_and_give_the_same_encoder_back() -> None:
    table = mixed()
    encoder = TableEncoder.fit(table)
    again = from_json(TableEncoder, to_json(encoder), "encoder")
    assert again == encoder
    assert torch.equal(again.transform(table), encoder.transform(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["age", "city"]), "it lacks 'age', 'city'. Give the same columns"),
        (lambda t: t.assign(extra=1), "'extra' was not there before"),
        (lambda t: t.rename(columns={"income": "incone"}), "Did you mean to rename 'incone' to 'income'?"),
        (lambda t: t.assign(age="old"), "column 'age' held numbers when .* now it holds text such as 'old'"),
        (lambda t: t.assign(city=3), "column 'city' held text when .* now it holds numbers such as '3'"),
        (lambda t: t.assign(since=3.0), "column 'since' held dates when .* now it holds numbers"),
        (lambda t: t.assign(age=np.inf), "column 'age' contains infinity or a value too large: 40 of 40"),
        (lambda t: t.to_numpy()[:, :4], "the table has 4 columns, but the encoder was fitted on 9: 'age', 'income'"),
        (lambda t: t.assign(age=1j), "column 'age' holds complex numbers"),
    ],
)
def test_a_table_of_another_shape_is_an_error_that_names_the_columns(
    change: Callable[[pd.DataFrame], object], message: str
) -> None:
    encoder = TableEncoder.fit(mixed())
    with pytest.raises(DataError, match=message):
        encoder.transform(change(mixed()))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros(3), "two-dimensional NumPy array, got an array of shape"),
        ([[1, 2]], "two-dimensional NumPy array, got list"),
        (np.zeros((0, 2)), "at least one row and one column, got 0 x 2"),
        (pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), "several columns named a"),
    ],
)
def test_what_is_no_table_is_an_error(table: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TableEncoder.fit(table)


def test_limits_of_levels_are_checked() -> None:
    with pytest.raises(ConfigError, match="max_levels must be an integer of at least 1"):
        TableEncoder.fit(np.zeros((2, 1)), max_levels=0)


def damaged(change: Callable[[dict], object]) -> dict:
    settings = json.loads(to_json(TableEncoder.fit(mixed())))
    change(settings)
    return settings


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("named"),
        lambda s: s.update(more=1),
        lambda s: s.update(named=1),
        lambda s: s.update(columns=[]),
        lambda s: s.update(columns={}),
        lambda s: s.update(columns=[None]),
        lambda s: s["columns"].append(s["columns"][0]),
        lambda s: s["columns"][0].update(kind="picture"),
        lambda s: s["columns"][0].update(kind=["number"]),
        lambda s: s["columns"][0].update(name=3),
        lambda s: s["columns"][0].update(center=float("nan")),
        lambda s: s["columns"][0].update(center=10**400),
        lambda s: s["columns"][0].update(rate=-1.0),
        lambda s: s["columns"][0].update(rate="1"),
        lambda s: s["columns"][0].update(marks_missing="no"),
        lambda s: s["columns"][4].update(levels=["a"]),
        lambda s: s["columns"][4].update(levels=["a", "a"]),
        lambda s: s["columns"][4].update(levels="ab"),
        lambda s: s["columns"][4].update(counts=[1, 0]),
        lambda s: s["columns"][4].update(rare=-1),
        lambda s: s["columns"][4].update(missing=True),
    ],
)
def test_damaged_settings_are_a_checkpoint_error(change: Callable[[dict], object]) -> None:
    with pytest.raises(CheckpointError, match="not a readable encoder"):
        from_plain(TableEncoder, damaged(change), "encoder")


@pytest.mark.parametrize("settings", [None, 3, [], "{}", {}])
def test_settings_that_are_none_are_a_checkpoint_error(settings: object) -> None:
    with pytest.raises(CheckpointError):
        from_plain(TableEncoder, settings, "encoder")
