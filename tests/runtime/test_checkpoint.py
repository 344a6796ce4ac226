from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from metricopt._errors import CheckpointError, ConfigError
from metricopt.runtime import read_tensors, write_atomically, write_tensors

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "count": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.zeros(0, 4),
}
SETTINGS = {"dim": 3, "names": ["a", "b"], "noise": None}


def _save(path: Path, **changes: object) -> Path:
    fields = {"tensors": TENSORS, "kind": "value function", "version": 1, "settings": SETTINGS, **changes}
    write_tensors(path, fields.pop("tensors"), **fields)  # type: ignore[arg-type]
    return path


def test_tensors_and_settings_come_back_exactly(tmp_path: Path) -> None:
    path = _save(tmp_path / "deep" / "value.safetensors")
    tensors, settings = read_tensors(path, kind="value function", version=1, template=TENSORS)
    assert settings == SETTINGS
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype
    assert os.listdir(path.parent) == ["value.safetensors"]


def test_views_and_shared_memory_and_gradients_are_saved_by_value(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4).requires_grad_()
    tensors = {"turned": base.T, "slice": base[1:], "same": base}
    loaded, _ = read_tensors(_save(tmp_path / "f", tensors=tensors), kind="value function", version=1)
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor)
        assert not loaded[name].requires_grad


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"weight": torch.zeros(2, 3)}, r"unknown tensors \['count', 'half', 'mask', 'none'\]"),
        ({**TENSORS, "bias": torch.zeros(1)}, r"lacks the tensors \['bias'\]"),
        ({**TENSORS, "weight": torch.zeros(3, 2)}, r"'weight' should be \(3, 2\) torch.float32, got \(2, 3\)"),
        ({**TENSORS, "weight": torch.zeros(2, 3).double()}, r"'weight' should be \(2, 3\) torch.float64"),
    ],
)
def test_a_file_that_does_not_fit_the_template_is_refused(
    tmp_path: Path, template: dict[str, torch.Tensor], message: str
) -> None:
    path = _save(tmp_path / "f")
    with pytest.raises(CheckpointError, match=message):
        read_tensors(path, kind="value function", version=1, template=template)


@pytest.mark.parametrize("asked", [{"kind": "trajectories", "version": 1}, {"kind": "value function", "version": 2}])
def test_another_kind_or_version_is_refused(tmp_path: Path, asked: dict[str, object]) -> None:
    path = _save(tmp_path / "f")
    with pytest.raises(CheckpointError, match="holds a 'value function' of format 1, but a"):
        read_tensors(path, **asked)  # type: ignore[arg-type]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = _save(tmp_path / "f")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="is damaged: its numbers do not match their checksum"):
        read_tensors(path, kind="value function", version=1)


def test_what_is_missing_cut_or_foreign_is_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "f")
    content = path.read_bytes()
    cases = {
        "absent": None,
        "empty": b"",
        "cut": content[: len(content) // 2],
        "pickle": b"\x80\x04K\x01.",
    }
    for name, payload in cases.items():
        damaged = tmp_path / name
        if payload is not None:
            damaged.write_bytes(payload)
        with pytest.raises(CheckpointError, match=f"cannot read .*{name} as a saved value function"):
            read_tensors(damaged, kind="value function", version=1)


@pytest.mark.parametrize("metadata", [None, {"metricopt": "{"}, {"metricopt": "[]"}, {"metricopt": '{"kind": "x"}'}])
def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "f"
    save_file(TENSORS, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="is not a saved value function"):
        read_tensors(path, kind="value function", version=1)


@pytest.mark.parametrize("value", [float("nan"), torch.ones(1), {1}])
def test_settings_that_json_cannot_hold_are_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    path = _save(tmp_path / "f")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="settings of a value function must be JSON"):
        _save(path, settings={"value": value})
    assert path.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_written_file_has_the_rights_of_any_other_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "plain").stat().st_mode
