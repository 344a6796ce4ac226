"""Parsers of the published layouts against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import DataError
from metricopt.tasks.parse import parse_covtype, parse_libsvm

FEATURES = 4


def libsvm_text(rows: list[tuple[int, dict[int, float]]]) -> bytes:
    lines = [" ".join([f"{label:+d}", *(f"{i}:{v:g}" for i, v in sorted(row.items()))]) + " \n" for label, row in rows]
    return "".join(lines).encode()


rows_of_libsvm = st.lists(
    st.tuples(st.sampled_from([-1, 1]), st.dictionaries(st.integers(1, FEATURES), st.sampled_from([1.0, 2.0, 0.5]))),
    min_size=1,
    max_size=8,
)


@given(rows_of_libsvm, rows_of_libsvm)
def test_libsvm_files_are_read_and_stacked(
    first: list[tuple[int, dict[int, float]]], second: list[tuple[int, dict[int, float]]]
) -> None:
    features, targets = parse_libsvm((libsvm_text(first), libsvm_text(second)), n_features=FEATURES)
    rows = first + second
    expected = np.zeros((len(rows), FEATURES))
    for number, (_, row) in enumerate(rows):
        for index, value in row.items():
            expected[number, index - 1] = value
    np.testing.assert_array_equal(features, expected)
    assert targets.tolist() == [int(label > 0) for label, _ in rows]


def test_indicators_are_kept_in_one_byte_and_other_values_are_not_cut() -> None:
    assert parse_libsvm((b"+1 1:1\n",), n_features=2)[0].dtype == np.uint8
    for value in (b"0.5", b"300", b"-1"):
        features, _ = parse_libsvm((b"+1 1:" + value + b"\n",), n_features=2)
        assert features.dtype == np.float32
        assert features[0, 0] == float(value)


@pytest.mark.parametrize("text", [b"+1 5:1\n", b"+1 one:1\n", b"<html>no such page</html>\n", b"+1 0:1\n"])
def test_other_text_is_not_libsvm(text: bytes) -> None:
    with pytest.raises(DataError, match="this is not LIBSVM text with 4 features"):
        parse_libsvm((text,), n_features=FEATURES)


@given(st.lists(st.tuples(*[st.integers(-200, 8000)] * FEATURES, st.integers(1, 7)), min_size=1, max_size=8))
def test_covtype_is_read_row_by_row(rows: list[tuple[int, ...]]) -> None:
    text = "\n".join(",".join(str(number) for number in row) for row in rows).encode()
    for ending in (b"", b"\n"):
        features, targets = parse_covtype((text + ending,), n_features=FEATURES)
        np.testing.assert_array_equal(features, [row[:-1] for row in rows])
        assert targets.tolist() == [int(row[-1] == 2) for row in rows]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"1,2,3,4,5\n1,2,3,4\n", "9 numbers do not make rows of 4 features and a cover type"),
        (b"1,2,3,4,8\n", "cover types are 1 to 7, this table has 8 to 8"),
        (b"1,2,3,4,0\n", "cover types are 1 to 7, this table has 0 to 0"),
        (b"1,2,x,4,5\n", "this is not the CoverType table"),
        (b"<html>no such page</html>", "this is not the CoverType table"),
        (b"", "this is not the CoverType table"),
    ],
)
def test_other_text_is_not_covtype(text: bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        parse_covtype((text,), n_features=FEATURES)
