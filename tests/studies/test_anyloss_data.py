"""The data of the AnyLoss study: what is read, how it is cut, and that nothing of a test row leaks into a fold."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from metricopt._errors import ConfigError, DataError
from metricopt.tasks.tables import FILES, TabularFile, read_csv
from studies.anyloss.data import DATA, StudyData, imbalanced
from studies.anyloss.folds import make_folds
from studies.anyloss.spec import full

CONTENT = b"id,colour,size,blank,label\n1,red,2.5, ,'yes'\n2,blue,1,3,'no'\n3,red,0,4,'no'\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TabularFile:
    (tmp_path / "tabular").mkdir()
    (tmp_path / "tabular" / "small.csv").write_bytes(CONTENT)
    monkeypatch.setenv("METRICOPT_DATA", str(tmp_path))
    read = partial(read_csv, positive=lambda label: label == "yes", header=True, drop=(0,))
    return TabularFile(name="small.csv", sha256=hashlib.sha256(CONTENT).hexdigest(), read=read)


def test_words_become_columns_and_blanks_become_missing(table: TabularFile) -> None:
    features, labels = table.load()
    assert labels.tolist() == [1.0, 0.0, 0.0]
    assert str(features.tolist()) == "[[0.0, 1.0, 2.5, nan], [1.0, 0.0, 1.0, 3.0], [0.0, 1.0, 0.0, 4.0]]"


def test_another_file_of_that_name_is_refused(table: TabularFile) -> None:
    with pytest.raises(DataError, match=r"small.csv is damaged or another version.*get it anew"):
        replace(table, sha256="0" * 64).load()


def test_tables_that_are_not_there_are_told_and_never_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICOPT_DATA", str(tmp_path))
    assert set(full().absent) == set(FILES)
    monkeypatch.delenv("METRICOPT_DATA")
    assert set(full().absent) == set(FILES)
    with pytest.raises(DataError, match="tabular/sonar.csv is missing; set METRICOPT_DATA"):
        DATA["sonar"].load()


@pytest.mark.parametrize(("name", "rows", "positives"), [("wine", 178, 48), ("digits_8", 1797, 174)])
def test_data_of_scikit_learn_are_always_there(name: str, rows: int, positives: int) -> None:
    data = DATA[name].load()
    assert (len(data.labels), int(data.labels.sum())) == (rows, positives)


def test_every_row_is_tested_once_and_each_part_has_the_share_of_the_whole() -> None:
    data = imbalanced(0.1, rows=403)
    folds = make_folds(data, folds=5, seed=0)
    assert torch.cat(folds.test).sort().values.tolist() == list(range(403))
    assert max(map(len, folds.test)) - min(map(len, folds.test)) <= 1
    for k, test in enumerate(folds.test):
        parts = [set(rows.tolist()) for rows in (folds.train[k], folds.val[k], test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) >= 403 - 2
        for rows in (folds.train[k], folds.val[k], test):
            assert folds.y[rows].mean().item() == pytest.approx(0.1, abs=1.01 / len(rows))


def test_scaling_does_not_see_the_rows_that_are_held_out() -> None:
    data = imbalanced(0.2, rows=200)
    folds = make_folds(data, folds=4, seed=0)
    changed = data.features.clone()
    held = torch.cat([folds.test[0], folds.val[0]])
    changed[held] = 1e6 * changed[held].square() + 3
    again = make_folds(StudyData(features=changed, labels=data.labels), folds=4, seed=0)
    assert torch.equal(again.train, folds.train)
    assert torch.equal(again.x[0, folds.train[0]], folds.x[0, folds.train[0]])
    assert not torch.equal(again.x[1, folds.train[1]], folds.x[1, folds.train[1]])
    scaled = folds.x[0, folds.train[0]].double()
    assert scaled.mean(dim=0).abs().max() < 1e-6
    assert (scaled.square().mean(dim=0) - 1).abs().max() < 1e-5


def test_too_few_rows_of_a_class_are_told() -> None:
    with pytest.raises(ConfigError, match=r"10 folds need 20 rows of each class, got \[95, 5\]; use fewer folds"):
        make_folds(imbalanced(0.05, rows=100), folds=10, seed=0)
