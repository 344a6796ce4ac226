"""Tensors and settings in one safetensors file: written atomically, never unpickled, checked on the way in."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._errors import CheckpointError, ConfigError
from .._shown import listed, shortened, shown
from .atomic_file import write_atomically
from .sealed_json import strict_object

if TYPE_CHECKING:  # a worker process sets its number of threads before torch is imported
    from torch import Tensor

#: Number of the layout of all saved files; in 2 the digest covers the settings too.
FILE_LAYOUT = 2

_HEADER = "metricopt"
_FIELDS = {"kind", "version", "settings", "digest"}


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    *,
    kind: str,
    version: int,
    settings: Mapping[str, Any],
) -> None:
    """Write `tensors` and `settings` to `path` as one file.

    Args:
        path: where to; an existing file is replaced in one step.
        tensors: any shapes and dtypes, from any device; they are saved from the CPU.
        kind: what the file holds, for example "value function".
        version: number of the layout of this kind; raise it when old files cannot be read any more.
        settings: whatever JSON can hold.

    Raises: ConfigError where the settings are not JSON.
    """
    from safetensors.torch import save

    # clone: two names may share memory, which the format refuses
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    header: dict[str, Any] = {"kind": kind, "version": version, "settings": dict(settings)}
    try:
        json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"settings of a {kind} must be JSON (numbers, text, lists, mappings), got {dict(settings)!r}: {error}. "
            "Put tensors among the tensors, and None in place of NaN."
        ) from error
    text = json.dumps(header | {"digest": _digest(plain, header)}, sort_keys=True)
    write_atomically(path, save(plain, metadata={_HEADER: text}))


def read_tensors(
    path: str | os.PathLike[str],
    *,
    kind: str,
    version: int,
    template: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and settings of a file that `write_tensors` made.

    Args:
        path: the file.
        kind, version: what it must hold.
        template: tensors whose names, shapes and dtypes the file must have; their values do not matter.

    Raises: CheckpointError where the file is missing, damaged, of another kind or version, or does not fit
        the template.
    """
    tensors, header = _read(path, kind, version)
    if header.pop("digest") != _digest(tensors, header):
        raise CheckpointError(f"{path} is damaged: its numbers do not match their checksum. Save it again.")
    if template is not None:
        check_template(path, tensors, template)
    return tensors, dict(header["settings"])


def check_template(path: str | os.PathLike[str], found: Mapping[str, Tensor], template: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless `found` has the names, shapes and dtypes of `template`."""
    if set(found) != set(template):
        missing, surplus = sorted(set(template) - set(found)), sorted(set(found) - set(template))
        raise CheckpointError(
            f"{path} does not fit: it lacks the tensors {listed(missing)} and has the unknown tensors "
            f"{listed(surplus)}. "
            "Load it into what it was saved from, or save it again."
        )
    for name, wanted in template.items():
        got = found[name]
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            raise CheckpointError(
                f"{path} does not fit: tensor {name!r} should be {tuple(wanted.shape)} {wanted.dtype}, "
                f"got {tuple(got.shape)} {got.dtype}. Load it into what it was saved from, or save it again."
            )


def _read(path: str | os.PathLike[str], kind: str, version: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is not a regular file")  # a pipe would block
        with safe_open(os.fspath(path), framework="pt") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} as a saved {kind}: {shortened(error)}. Save it again.") from error
    header = _header(metadata, path, kind)
    if (header["kind"], header["version"]) != (kind, version):
        raise CheckpointError(
            f"{path} holds a {shown(header['kind'])} of format {shown(header['version'])}, but a {kind!r} of format "
            f"{version} is asked for. Give the right file, or save it again with this version."
        )
    return tensors, header


def _header(metadata: Mapping[str, str], path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    try:
        header = strict_object(metadata[_HEADER], path)
    except (KeyError, CheckpointError) as error:
        raise CheckpointError(
            f"{path} is not a saved {kind}: it has no readable header. Give the right file."
        ) from error
    if set(header) != _FIELDS or not isinstance(header["settings"], dict):
        raise CheckpointError(
            f"{path} is not a saved {kind}: its header should have the fields {sorted(_FIELDS)}. Give the right file."
        )
    return header


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        flat = tensors[name].contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}\x1f{tuple(tensors[name].shape)}\x1f{tensors[name].dtype}\x1f".encode())
        digest.update(flat.numpy().tobytes())
    return digest.hexdigest()
