"""JSON objects that carry a digest of themselves: a changed figure is found, not believed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from .._errors import CheckpointError
from .._shown import shortened
from .._typed import loads
from .atomic_file import read_whole, write_atomically

_SEAL = "digest"
_ADVICE = "Restore it, or begin anew."


def write_sealed(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write `content` as JSON with a digest, atomically. Raises WriteFailed."""
    text = json.dumps({**content, _SEAL: digest_of_json(content)}, indent=2, allow_nan=False)
    write_atomically(path, text.encode() + b"\n")


def read_sealed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is something else, or was changed since.
    """
    found = strict_object(read_whole(path), path)
    seal = found.pop(_SEAL, None)
    if seal is None:
        raise CheckpointError(f"{os.fspath(path)!r} has no {_SEAL}: it was not written by this program. {_ADVICE}")
    if seal != digest_of_json(found):
        raise CheckpointError(f"{os.fspath(path)!r} is damaged: it does not match its digest. {_ADVICE}")
    return found


def strict_object(text: bytes | str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object `text`, without NaN and without a name that stands twice. Raises CheckpointError naming
    `path`."""
    try:
        found = loads(text)
    except ValueError as error:  # UnicodeDecodeError is one too
        raise CheckpointError(f"cannot read {os.fspath(path)!r} as JSON: {shortened(error)}. {_ADVICE}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{os.fspath(path)!r} should hold one JSON object. {_ADVICE}")
    return found


def digest_of_json(content: Mapping[str, Any]) -> str:
    """Thirty-two hex digits over names and values; the order of names does not matter.

    >>> digest_of_json({"a": 1, "b": 0.5}) == digest_of_json({"b": 0.5, "a": 1}) != digest_of_json({"a": 1, "b": 0.25})
    True
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
