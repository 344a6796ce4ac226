"""Tensors and settings in one safetensors file: written atomically, read without pickle, checked on the way in."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._errors import CheckpointError

_KEY = "metricopt"


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], *, kind: str, version: int, settings: Mapping[str, Any]
) -> None:
    """Write `tensors` and `settings` to `path`; a reader sees the old file or the new one, never half of one."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"kind": kind, "version": version, "settings": dict(settings), "digest": _digest(plain)}
    payload = save(plain, metadata={_KEY: json.dumps(header, sort_keys=True)})
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def read_tensors(path: str | os.PathLike[str], *, kind: str, version: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and settings of a file that `write_tensors` made; CheckpointError for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} as a saved {kind}: {error}. Save it again.") from error
    header = _header(metadata, path, kind)
    if header["kind"] != kind or header["version"] != version:
        raise CheckpointError(
            f"{path} holds a {header['kind']!r} of format {header['version']!r}, but a {kind!r} of format {version} "
            "is asked for. Give the right file, or save it again with this version."
        )
    if header["digest"] != _digest(tensors):
        raise CheckpointError(f"{path} is damaged: its numbers do not match their checksum. Save it again.")
    return tensors, header["settings"]


def check_template(path: str | os.PathLike[str], found: Mapping[str, Tensor], template: Mapping[str, Tensor]) -> None:
    """CheckpointError unless `found` has the names, shapes and dtypes of `template`."""
    if set(found) != set(template):
        missing, surplus = sorted(set(template) - set(found)), sorted(set(found) - set(template))
        raise CheckpointError(f"{path} lacks tensors {missing} and has unknown tensors {surplus}. Save it again.")
    for name, tensor in template.items():
        got = found[name]
        if got.shape != tensor.shape or got.dtype != tensor.dtype:
            raise CheckpointError(
                f"{path}: tensor {name!r} should be {tuple(tensor.shape)} {tensor.dtype}, "
                f"got {tuple(got.shape)} {got.dtype}. Save it again."
            )


def _header(metadata: Mapping[str, str], path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    try:
        header = json.loads(metadata[_KEY])
        fields = {"kind", "version", "settings", "digest"}
        if not isinstance(header, dict) or set(header) != fields or not isinstance(header["settings"], dict):
            raise ValueError(f"its header should have the fields {sorted(fields)}")
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is not a saved {kind}: {error}. Give a file that metricopt saved.") from error
    return header


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _sync_directory(folder: Path) -> None:
    # The rename itself is durable only once the folder is on disk.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
