"""Tables as they are: rows that repeat, a word among numbers, infinities, numbers beyond all bounds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from metricopt._errors import DataError
from metricopt.apps.table.file import read_table
from metricopt.apps.table.job import optimize_table
from metricopt.apps.table.predict import predict_table
from metricopt.apps.table.request import TableRequest


def table(path: Path, rows: int = 500, change: dict[tuple[int, int], str] | None = None) -> Path:
    """Columns id, a, b and the target t, which follows a; `change` replaces the cell (row, column)."""
    source = random.Random(0)
    lines = ["id,a,b,t"]
    for number in range(rows):
        a, b = source.gauss(0, 1), source.gauss(0, 1)
        cells = [str(number), f"{a:.4f}", f"{b:.4f}", "yes" if a + 0.7 * source.gauss(0, 1) > 0.8 else "no"]
        for (row, column), text in (change or {}).items():
            if row == number:
                cells[column] = text
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


def run(path: Path, folder: Path, **change):
    notes: list[str] = []
    request = TableRequest(path=path, target="t", metric="f1", calls=100, **({"method": ("threshold",)} | change))
    return optimize_table(request, run=folder, say=notes.append), notes


def test_one_word_among_numbers_is_a_missing_value_with_a_note_and_strict_refuses(tmp_path):
    sound, _ = run(table(tmp_path / "sound.csv"), tmp_path / "sound")
    path = table(tmp_path / "bad.csv", change={(16, 1): "oops", (40, 1): "n.a.?"})
    found, notes = run(path, tmp_path / "bad")
    assert (
        "Column 'a' holds numbers, but 'oops' in line 18 and 1 more cells are taken for missing (--strict refuses)."
        in notes
    )
    assert found.summary.acceptance.before == pytest.approx(sound.summary.acceptance.before, abs=0.12)
    with pytest.raises(DataError, match="column 'a' holds numbers, but 'oops' in line 18 and 1 more cells of bad.csv"):
        run(path, tmp_path / "strict", strict=True)
    told: list[str] = []
    assert len(predict_table(tmp_path / "bad", path, say=told.append)) == 500 and "'oops'" in told[0]


def test_a_numeric_id_with_a_bad_cell_is_still_an_id(tmp_path):
    _, notes = run(table(tmp_path / "ids.csv", change={(100, 0): "x"}), tmp_path / "ids")
    assert any("'id' is different in nearly every row" in note for note in notes)


def test_codes_and_columns_of_words_stay_what_they_are(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("code,word\n" + "".join(f"{i % 7 if i % 90 else 'A'},w{i % 3}\n" for i in range(300)))
    file = read_table(path)
    assert file.notes == () and set(file.frame["code"]) >= {"A", "3"}


def test_at_prediction_the_guilty_cell_is_named(tmp_path):
    run(table(tmp_path / "sound.csv"), tmp_path / "run")
    words = {(row, 1): "high" if row > 3 else "1.5" for row in range(60)}
    with pytest.raises(DataError, match="'high' in row 5"):
        predict_table(tmp_path / "run", table(tmp_path / "words.csv", rows=60, change=words))


def test_rows_that_repeat_are_no_leak(tmp_path):
    source = random.Random(1)
    lines = ["a,b,t"]
    for _ in range(1200):
        a, b = source.randint(0, 2), source.choice("xyz")
        lines.append(f"{a},{b},{'yes' if source.random() < 0.15 + 0.25 * (a == 2) + 0.2 * (b == 'x') else 'no'}")
    path = tmp_path / "survey.csv"
    path.write_text("\n".join(lines) + "\n")
    found, _ = run(path, tmp_path / "run")
    assert found.summary.calls <= 100


def test_infinities_are_told_before_anything_is_trained(tmp_path):
    path = table(tmp_path / "inf.csv", change={(490, 2): "inf", (7, 2): "-inf"})
    with pytest.raises(DataError, match="column 'b' holds infinity in 2 rows, the first one in line 9"):
        run(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("digits", [309, 5000])
def test_a_whole_number_beyond_all_bounds_is_told_in_one_line(tmp_path, digits):
    path = table(tmp_path / "big.csv", change={(3, 1): "9" * digits})
    try:
        run(path, tmp_path / "run")
    except DataError as error:
        assert "'a'" in str(error) and len(str(error)) < 400 and "\n" not in str(error)
