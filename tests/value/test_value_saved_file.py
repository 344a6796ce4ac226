"""Saved files: every kind of damage is an error that names the file, and a failed save keeps the old one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from metricopt._errors import CheckpointError
from metricopt.value import ValueFunction
from metricopt.value import _saved_file as saved_file
from metricopt.value._saved_file import check_template, read_tensors, write_tensors


def _write(path: Path, **changes: Any) -> None:
    options: dict[str, Any] = {"kind": "thing", "version": 1, "settings": {"a": 1}}
    write_tensors(path, {"x": torch.arange(3.0), "n": torch.tensor(2)}, **{**options, **changes})


def test_round_trip(tmp_path: Path) -> None:
    _write(tmp_path / "f")
    tensors, settings = read_tensors(tmp_path / "f", kind="thing", version=1)
    assert settings == {"a": 1}
    assert torch.equal(tensors["x"], torch.arange(3.0))
    assert tensors["n"].shape == ()
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read .*nothing"):
        read_tensors(tmp_path / "nothing", kind="thing", version=1)
    _write(tmp_path / "f")
    whole = (tmp_path / "f").read_bytes()
    for size in (0, 5, 40, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="cannot read .*cut"):
            read_tensors(tmp_path / "cut", kind="thing", version=1)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="foreign is not a saved thing"):
        read_tensors(tmp_path / "foreign", kind="thing", version=1)


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    _write(tmp_path / "f")
    data = bytearray((tmp_path / "f").read_bytes())
    data[-1] ^= 1
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(tmp_path / "f", kind="thing", version=1)


def test_other_kind_or_version(tmp_path: Path) -> None:
    _write(tmp_path / "f")
    with pytest.raises(CheckpointError, match="holds a 'thing' of format 1, but a 'thing' of format 2"):
        read_tensors(tmp_path / "f", kind="thing", version=2)
    with pytest.raises(CheckpointError, match="but a 'other'"):
        read_tensors(tmp_path / "f", kind="other", version=1)


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "f")
    before = (tmp_path / "f").read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(saved_file.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        _write(tmp_path / "f", settings={"a": 2})
    assert (tmp_path / "f").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_template_compares_names_shapes_and_dtypes() -> None:
    template = {"x": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"lacks tensors \['x'\] and has unknown tensors \['y'\]"):
        check_template("f", {"y": torch.zeros(2)}, template)
    with pytest.raises(CheckpointError, match=r"'x' should be \(2,\) torch.float32, got \(3,\)"):
        check_template("f", {"x": torch.zeros(3)}, template)
    with pytest.raises(CheckpointError, match="torch.float64"):
        check_template("f", {"x": torch.zeros(2, dtype=torch.float64)}, template)


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("dim", "3", "setting 'dim' should be of type int"),
        ("dim", 0, "cannot be built: dim"),
        ("dim", 4, "should be"),
        ("hidden", [], "cannot be built: hidden"),
        ("hidden", [8, 8], "should be"),
        ("hidden", [8], "lacks tensors|has unknown"),
        ("hidden", ["8"], "cannot be built: hidden"),
        ("norm", "instance", "cannot be built: norm"),
        ("norm", "none", "has unknown tensors"),
        ("members", 2, "should be"),
        ("dtype", "float16", "do not describe"),
        ("dtype", "float64", "torch.float64, got"),
        ("extra", 1, "do not describe"),
        ("fingerprint", None, "setting 'fingerprint'"),
    ],
)
def test_settings_of_a_value_function_are_checked_field_by_field(
    tmp_path: Path, field: str, wrong: object, message: str
) -> None:
    value = ValueFunction(3, hidden=(8, 4), generator=torch.Generator().manual_seed(0))
    settings = {**value.settings(), field: wrong}
    write_tensors(tmp_path / "v", value.state_dict(), kind="value function", version=1, settings=settings)
    with pytest.raises(CheckpointError, match=message):
        ValueFunction.load(tmp_path / "v")


def test_a_header_of_the_wrong_form(tmp_path: Path) -> None:
    for header in ("[]", "{", json.dumps({"kind": "thing"})):
        save_file({"x": torch.zeros(1)}, tmp_path / "f", metadata={"metricopt": header})
        with pytest.raises(CheckpointError, match="is not a saved thing"):
            read_tensors(tmp_path / "f", kind="thing", version=1)
