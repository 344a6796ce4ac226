"""Scores and targets as they leave this process: plain arrays of numbers in an .npz file, or lists in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..._checks import one_of
from ..._errors import ConfigError, MetricError
from ..from_function import to_array
from ..metric import READS

#: Scores and targets.
Arrays: TypeAlias = tuple[NDArray[np.generic], NDArray[np.generic]]


def check_sent(name: str, reads: str) -> None:
    """Raise ConfigError for what no payload holds: a model stays in this process."""
    one_of("reads", reads, READS)
    if reads == "model":
        raise ConfigError(
            f'external metric {name!r} is sent arrays and cannot read the model; give reads="scores", "probabilities" '
            'or "labels", or write a function of the model (from_model_function)'
        )


def to_arrays(scores: Any, targets: Any) -> Arrays:
    """Tensors or arrays of real numbers as NumPy arrays.

    Raises:
        ConfigError: something else, which could leave this process only as a pickle.
    """
    arrays = to_array(scores), to_array(targets)
    for what, array in zip(("scores", "targets"), arrays, strict=True):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            kind = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            raise ConfigError(
                f"an external metric is sent tensors or arrays of real numbers, but its {what} are {kind}; "
                "convert them with torch.as_tensor, or measure them here with from_function"
            )
    return arrays


def write_npz(path: Path, arrays: Arrays) -> None:
    """A file that `numpy.load(path)` opens without pickles: `scores` and `targets`."""
    np.savez(path, scores=arrays[0], targets=arrays[1])


def to_json(arrays: Arrays) -> bytes:
    """`{"scores": [...], "targets": [...]}`, lists nested as the arrays are.

    Raises:
        MetricError: a value is infinite or NaN, for which JSON has no word.

    >>> to_json((np.array([[0.5, 1.0]]), np.array([1])))
    b'{"scores": [[0.5, 1.0]], "targets": [1]}'
    """
    for what, array in zip(("scores", "targets"), arrays, strict=True):
        strange = int((~np.isfinite(array)).sum()) if array.dtype.kind == "f" else 0
        if strange:
            raise MetricError(
                f"{strange} of {array.size} {what} are infinite or NaN, which JSON cannot hold; "
                'read "probabilities" or "labels" instead of scores, or use a command, which gets a NumPy file'
            )
    return json.dumps({"scores": arrays[0].tolist(), "targets": arrays[1].tolist()}).encode()
