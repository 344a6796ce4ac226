"""Data sets by name: the cache of parsed tables, the built-in ones, and the published ones where they are there."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from functools import partial
from pathlib import Path

import pytest
import torch

from metricopt._errors import CheckpointError, ConfigError, DataError
from metricopt.tasks import DATASETS, load_dataset
from metricopt.tasks.datasets import A9A, COVTYPE, PublishedTable, synthetic
from metricopt.tasks.disk_cache import entries_root
from metricopt.tasks.files import PublishedFile
from metricopt.tasks.parse import parse_libsvm

TRAIN = b"+1 1:1 3:1\n-1 2:1\n"
TEST = b"-1 3:1\n"

#: Where the published files lie when the tests start; a test may change the variable.
DATA = Path(os.environ.get("METRICOPT_DATA", "no such folder"))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedTable:
    """A tiny table in the layout of A9A, with its files in the data folder and an empty cache."""
    data = tmp_path / "data" / "tiny"
    data.mkdir(parents=True)
    monkeypatch.setenv("METRICOPT_DATA", str(data.parent))
    monkeypatch.setenv("METRICOPT_CACHE", str(tmp_path / "cache"))
    files = []
    for name, content in (("tiny", TRAIN), ("tiny.t", TEST)):
        (data / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(PublishedFile(folder="tiny", name=name, url="http://127.0.0.1:9/", sha256=digest))
    return PublishedTable(name="tiny", files=tuple(files), parse=partial(parse_libsvm, n_features=3))


def test_a_table_is_the_stack_of_its_files(table: PublishedTable) -> None:
    data = table.load()
    assert data.features.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert data.targets.tolist() == [1, 0, 0]
    assert data.features.dtype == data.targets.dtype == torch.float32
    assert (data.name, len(data), data.checksum) == ("tiny", 3, table.checksum)


def test_the_second_load_needs_no_file(table: PublishedTable, tmp_path: Path) -> None:
    first = table.load()
    for file in table.files:
        (tmp_path / "data" / file.relative).unlink()
    second = table.load()
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.targets, second.targets)


def test_the_cache_entry_belongs_to_the_content(table: PublishedTable, tmp_path: Path) -> None:
    table.load()
    other = b"-1 1:1\n"
    (tmp_path / "data" / "tiny" / "tiny.t").write_bytes(other)
    changed = dataclasses.replace(table.files[1], sha256=hashlib.sha256(other).hexdigest())
    newer = dataclasses.replace(table, files=(table.files[0], changed))
    assert newer.checksum != table.checksum
    assert newer.load().features[-1].tolist() == [1, 0, 0]


def test_a_damaged_file_leaves_no_cache_entry(table: PublishedTable, tmp_path: Path) -> None:
    (tmp_path / "data" / "tiny" / "tiny.t").write_bytes(TEST + TEST)
    with pytest.raises(DataError, match="is damaged or another version"):
        table.load()
    assert not (tmp_path / "cache").exists()


def test_a_damaged_cache_entry_is_an_error_that_says_what_to_do(table: PublishedTable, tmp_path: Path) -> None:
    table.load()
    (entry,) = (entries_root() / "tables").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="It is an entry of the cache: remove it, and it is made again"):
        table.load()
    entry.unlink()
    assert len(table.load()) == 3


@pytest.mark.parametrize("name", ["breast_cancer", "synthetic"])
def test_a_built_in_set_is_the_same_every_time(name: str) -> None:
    first, second = load_dataset(name), load_dataset(name)
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.targets, second.targets)
    assert first.checksum == second.checksum
    assert first.features.dtype == first.targets.dtype == torch.float32
    assert 0.2 < float(first.targets.mean()) < 0.4
    assert bool(first.features.isfinite().all())


def test_synthetic_sets_of_other_seeds_differ() -> None:
    first, second = synthetic(rows=50), synthetic(rows=50, seed=1)
    assert not torch.equal(first.features, second.features)
    assert first.checksum != second.checksum


def test_every_entry_has_its_name_and_a_title() -> None:
    assert list(DATASETS) == ["a9a", "covtype", "breast_cancer", "synthetic"]
    assert all(entry.title for entry in DATASETS.values())


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'a9a'"):
        load_dataset("a9")


@pytest.mark.parametrize(("table", "name"), [(A9A, "a9a"), (COVTYPE, "covtype")])
def test_published_sets_are_looked_for_in_their_own_folder(
    table: PublishedTable, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICOPT_DATA", str(tmp_path))
    first = table.files[0]
    assert first.places()[0].parent == tmp_path / name
    assert first.url.startswith("https://")
    assert len(first.sha256) == 64


def _needs(table: PublishedTable) -> pytest.MarkDecorator:
    missing = [str(file.relative) for file in table.files if not (DATA / file.relative).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"set METRICOPT_DATA to a folder with {missing}")


@_needs(A9A)
def test_the_published_a9a() -> None:
    data = load_dataset("a9a")
    assert data.features.shape == (48_842, 123)
    assert int(data.targets[:32_561].sum()) == 7_841
    assert int(data.targets[32_561:].sum()) == 3_846
    assert sorted(data.features.unique().tolist()) == [0, 1]


@_needs(COVTYPE)
def test_the_published_covtype() -> None:
    data = load_dataset("covtype")
    assert data.features.shape == (581_012, 54)
    assert int(data.targets.sum()) == 283_301
    assert data.features[0, :3].tolist() == [2596, 51, 3]
    assert float(data.features.min()) == -173
