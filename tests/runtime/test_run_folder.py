"""A run's folder: whose it is, who holds it, and what happens where it cannot be used."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest

from metricopt._errors import CheckpointError, ConfigError, RunLocked, WriteFailed
from metricopt.runtime import RunFolder, read_identity, write_atomically

IDENTITY = {"metric": "f1", "seed": 0, "share": 0.5, "value": None, "quick": True}


def test_a_new_folder_says_whose_it_is(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "deep" / "run", IDENTITY) as folder:
        assert folder.cache.kept == 0
        folder.cache.of("one", lambda: 0.5)
    assert read_identity(folder.path) == IDENTITY
    assert "torch" in json.loads((folder.path / "run.json").read_text())["environment"]
    with RunFolder(folder.path, IDENTITY) as again:
        assert again.cache.kept == 1


def test_another_run_is_refused_and_every_difference_named(tmp_path: Path) -> None:
    with RunFolder(tmp_path, IDENTITY):
        pass
    other = IDENTITY | {"seed": 1, "share": 0.25, "extra": "x" * 200}
    with pytest.raises(ConfigError) as caught:
        RunFolder(tmp_path, other)
    message = str(caught.value)
    assert "seed was 0 and is now 1" in message
    assert "share was 0.5 and is now 0.25" in message
    assert "extra was None and is now 'xxx" in message
    assert "metric" not in message
    assert len(message) < 600


def test_held_twice_it_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    with RunFolder(tmp_path, IDENTITY), pytest.raises(RunLocked, match=f"another process .number {os.getpid()}.; wait"):
        RunFolder(tmp_path, IDENTITY)
    with RunFolder(tmp_path, IDENTITY):
        pass


def test_a_refusal_or_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path, IDENTITY):
        raise ZeroDivisionError
    with pytest.raises(ConfigError, match="another run"):
        RunFolder(tmp_path, {"metric": "mcc"})
    with RunFolder(tmp_path, IDENTITY):
        pass


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    for name in ("thesis.tex", "a\nb"):
        (tmp_path / name).write_text("precious")
    with pytest.raises(ConfigError, match=r"is not empty and holds no run \('a\\nb', thesis.tex\)"):
        RunFolder(tmp_path, IDENTITY)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "a\nb", ".lock"}


def test_a_path_that_is_a_file_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("precious")
    for path in (tmp_path / "run", tmp_path / "run" / "below"):
        with pytest.raises(ConfigError, match="cannot make the run folder .*; choose another"):
            RunFolder(path, IDENTITY)
    assert (tmp_path / "run").read_text() == "precious"
    with pytest.raises(ConfigError, match="embedded null"):
        RunFolder(f"{tmp_path}/a\0b", IDENTITY)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    with RunFolder(tmp_path, IDENTITY) as folder:
        folder.cache.of("one", lambda: 0.5)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    real = os.open

    def read_only(path: str, flags: int, *rest: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(code, os.strerror(code))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(ConfigError, match=f"cannot write to the run folder .*: {os.strerror(code)}. Make room"):
        RunFolder(tmp_path, IDENTITY)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert read_identity(tmp_path) == IDENTITY  # looking needs no rights


def test_a_disk_that_is_full_from_the_start_leaves_an_empty_folder_that_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match=r"cannot write .*run.json': No space left on device. Make room"):
        RunFolder(tmp_path, IDENTITY)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    with RunFolder(tmp_path, IDENTITY):
        pass


def test_a_file_system_without_locks_is_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(ConfigError, match=os.strerror(errno.ENOLCK)):
        RunFolder(tmp_path, IDENTITY)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("not yours")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to("../mine")
    with pytest.raises(ConfigError, match="cannot write to the run folder"):
        RunFolder(tmp_path / "run", IDENTITY)
    assert (tmp_path / "mine").read_text() == "not yours"


def test_leftovers_of_killed_writers_are_swept_and_nothing_else(tmp_path: Path) -> None:
    with RunFolder(tmp_path, IDENTITY):
        pass
    (tmp_path / "value").mkdir()
    left = [tmp_path / ".model.safetensors.123.0a1b2c3d", tmp_path / "value" / ".value.safetensors.9.ffffffff"]
    kept = [tmp_path / ".notes", tmp_path / ".model.safetensors.123.xyz", tmp_path / "value" / "v.1.0a1b2c3d"]
    for path in (*left, *kept):
        path.write_text("")
    with RunFolder(tmp_path, IDENTITY):
        pass
    assert [path.exists() for path in (*left, *kept)] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "cannot read .* as JSON"),
        ("[]", "should hold one JSON object"),
        ("{}", "has no digest"),
        ('{"kind": "metricopt run", "version": 1, "identity": {}, "digest": "0"}', "does not match its digest"),
        ('{"version": NaN}', "holds NaN"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_card_is_refused(tmp_path: Path, card: str, message: str) -> None:
    with RunFolder(tmp_path, IDENTITY):
        pass
    (tmp_path / "run.json").write_text(card)
    for use in (read_identity, lambda path: RunFolder(path, IDENTITY)):
        with pytest.raises(CheckpointError, match=message):
            use(tmp_path)


def test_a_folder_without_a_card_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a run folder: it has no run.json"):
        read_identity(tmp_path)


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_write_that_fails_is_one_clear_error_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "figures.json"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(WriteFailed, match="cannot write .*figures.json': No space left on device.*is intact"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["figures.json"]
