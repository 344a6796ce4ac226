"""Things that take long to make, kept on disk under a name made of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from .._errors import CheckpointError
from ..runtime import FILE_LAYOUT, read_tensors

#: Environment variable with the folder for downloads, parsed tables, pre-trained networks and reference scores.
CACHE_VARIABLE = "METRICOPT_CACHE"

#: What JSON can hold and a row of results can show.
Settings: TypeAlias = dict[str, str | int | float]


def cache_root() -> Path:
    """The folder in `METRICOPT_CACHE`, else `~/.cache/metricopt`."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path.home() / ".cache" / "metricopt"


def entries_root() -> Path:
    """The folder of what is made here; files of another layout lie elsewhere and are made again."""
    return cache_root() / f"layout-{FILE_LAYOUT}"


def cache_path(folder: str, settings: Settings) -> Path:
    """The file below the cache folder for exactly these settings."""
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    return entries_root() / folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.safetensors"


def read_entry(
    path: Path, *, kind: str, version: int, template: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and settings of one entry, checked as `metricopt.runtime.read_tensors` does.

    Raises:
        CheckpointError: the entry is damaged. It is not made anew in silence: numbers of a table hang on it, and
            entries are written in one piece, so damage means that something else is wrong.
    """
    try:
        return read_tensors(path, kind=kind, version=version, template=template)
    except CheckpointError as error:
        raise CheckpointError(f"{error} It is an entry of the cache: remove it, and it is made again.") from error
