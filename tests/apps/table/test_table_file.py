"""Reading tables: what people have in files, and what is wrong with it in one line."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import pytest

from metricopt._errors import ConfigError, DataError, MetricOptError
from metricopt.apps.table.file import column_names, read_table
from people import people


def rows(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_what_a_table_holds_comes_back(tmp_path: Path) -> None:
    file = read_table(people(tmp_path / "people.csv"))
    frame = file.frame
    assert list(frame.columns) == ["age", "hours", "job", "since", "pay", "income"]
    assert frame["since"].dtype.kind == "M"
    assert frame["hours"].dtype.kind == "f"
    assert 0 < frame["job"].isna().sum() < 60  # the question marks
    assert "counts the rows" in file.notes[0]
    assert len(frame) == 600


@pytest.mark.parametrize(
    ("separator", "encoding", "told"),
    [(";", "utf-8", "semicolons"), ("\t", "utf-16", "tabs"), ("|", "utf-8-sig", "bars"), (",", "utf-8", None)],
)
def test_separators_and_encodings_are_found(tmp_path: Path, separator: str, encoding: str, told: str | None) -> None:
    wanted = read_table(people(tmp_path / "plain.csv")).frame
    file = read_table(people(tmp_path / "other.csv", separator=separator, encoding=encoding))
    assert file.frame.equals(wanted)
    assert (told in " ".join(file.notes)) if told else len(file.notes) == 1


def test_decimal_commas_are_numbers(tmp_path: Path) -> None:
    file = read_table(rows(tmp_path / "t.csv", "a;b;y\n" + "1,5;x;2\n-3,25;z;4\n" * 3))
    assert file.frame["a"].tolist()[:2] == [1.5, -3.25]
    assert "Numbers have a decimal comma." in file.notes


def test_a_given_encoding_and_separator_are_taken(tmp_path: Path) -> None:
    path = rows(tmp_path / "t.csv", "größe:y\n1:Köln\n2:Ulm\n", "cp1252")
    file = read_table(path, separator=":", encoding="cp1252")
    assert file.frame["y"].tolist() == ["Köln", "Ulm"]
    assert file.notes == ()
    assert column_names(path, separator=":", encoding="cp1252") == ("größe", "y")


def test_columns_that_must_stay_text_do(tmp_path: Path) -> None:
    path = rows(tmp_path / "t.csv", "a,b\n01,2020-01-01\n2,\n")
    frame = read_table(path, as_text=("a", "b")).frame
    assert frame["a"].tolist() == ["01", "2"]
    assert frame["b"].isna().tolist() == [False, True]
    assert frame["b"].tolist()[0] == "2020-01-01"


def test_gzip_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    path = people(tmp_path / "people.csv")
    wanted = read_table(path).frame
    packed = tmp_path / "people.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    assert read_table(packed).frame.equals(wanted)
    pytest.importorskip("pyarrow")
    wanted.to_parquet(tmp_path / "people.parquet")
    found = read_table(tmp_path / "people.parquet")
    assert found.frame["pay"].tolist() == wanted["pay"].tolist()
    assert found.frame["since"].dtype.kind == "M"
    assert column_names(tmp_path / "people.parquet") == tuple(wanted.columns)


def test_a_named_index_of_a_parquet_file_is_a_column(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = read_table(people(tmp_path / "people.csv")).frame
    frame.set_index("age").to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame.columns[0] == "age"


def test_numbered_columns_are_names(tmp_path: Path) -> None:
    assert list(read_table(rows(tmp_path / "t.csv", "0,1,2,y\n5,6,7,a\n")).frame.columns) == ["0", "1", "2", "y"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "holds blank lines only"),
        (b"a,b,y\n", "names 3 columns and holds no row"),
        (b"a,a,y\n1,2,3\n", "several columns named 'a' (columns 1, 2)"),
        (b"39,77516.5,13\n1,2,3\n", "the first line of t.csv must name the columns"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        (b"a,b\n1,2,3\n1,2,3\n", "more cells than the first line has names"),
        (b'a,b\n1,"2\n1,2\n', "a quote that is opened in row 2 is never closed"),
        (b"a:b\n1:2\n", "single column when it is cut by comma, semicolon, tab or bar"),
        ("name,y\nKöln,1\n".encode("cp1252"), "line 2 of t.csv is not utf-8 text (byte 0xf6)"),
        (b"a,b,y\n1,2\x00,3\n", "is a binary file"),
        (bytes(range(256)) * 9, "is a binary file"),
        (b"PK\x03\x04" + b"x" * 99, "an Excel sheet or a zip archive"),
        (b"\x80\x04\x95" + b"x" * 99, "a Python pickle, which is never opened here"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"PAR1" + b"x" * 99, "a damaged Parquet file"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:40], "a damaged gzip file"),
    ],
)
def test_what_is_no_table_is_told_in_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_table(path)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_file_is_told_with_what_was_meant(tmp_path: Path) -> None:
    people(tmp_path / "people.csv")
    with pytest.raises(DataError, match=r"no file '.*peple.csv'; did you mean '.*people.csv'\?"):
        read_table(tmp_path / "peple.csv")
    with pytest.raises(DataError, match=r"is a folder; give a CSV or Parquet file, for example '.*people.csv'"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        read_table(tmp_path / "no" / "people.csv")
    with pytest.raises(DataError, match="not a regular file"):
        read_table(Path(os.devnull))
    (tmp_path / "t.parquet").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="not a Parquet file, whatever its name says"):
        read_table(tmp_path / "t.parquet")


def test_choices_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    path = people(tmp_path / "people.csv")
    with pytest.raises(ConfigError, match="no encoding 'klingon'"):
        read_table(path, encoding="klingon")
    with pytest.raises(ConfigError, match="must be one character"):
        read_table(path, separator="::")
    with pytest.raises(DataError, match="is not utf-16 text"):
        read_table(path, encoding="utf-16")


def test_a_damaged_file_is_read_or_refused(tmp_path: Path) -> None:
    """Nothing else happens: no other error, no second line."""
    source = random.Random(0)
    plain = people(tmp_path / "people.csv", rows=40).read_bytes()
    wide = people(tmp_path / "wide.csv", rows=40, encoding="utf-16", separator=";").read_bytes()
    path, refused = tmp_path / "damaged.csv", 0
    for _ in range(250):
        content = bytearray(source.choice([plain, wide, gzip.compress(plain, mtime=0)]))
        for _ in range(source.choice([1, 3, 20])):
            at = source.randrange(len(content))
            piece = source.choice([b'"', b"\n", b"\x00", b"\xff", b";;", b"1e999", bytes([source.randrange(256)])])
            content[at : at + source.randrange(9)] = piece
        path.write_bytes(bytes(content))
        try:
            read_table(path)
        except MetricOptError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 50 < refused < 250
