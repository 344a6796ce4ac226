"""Whatever a user keeps data in, as `Examples`: pairs, Datasets, DataLoaders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from .._errors import DataError, MetricOptError
from .._shown import shortened
from ..workload import Examples, concatenated
from ..workload.nests import rows_of
from ..workload.stream import batches, described, in_order


def gather(data: Any, name: str) -> Examples:
    """All of `data` in memory: inputs and targets as one tensor each, or as a tuple or mapping of tensors.

    A DataLoader that shuffles or goes in order is read in order, so that a run can be repeated; of one with a sampler
    of its own come the rows that this one picks. The global random state comes back as it was.

    Args:
        data: `Examples`, a pair (inputs, targets) of tensors or NumPy arrays, a Dataset or a DataLoader of such pairs.
            Beside the pair may stand what the metric alone is told of each row.
        name: of the argument, for messages.

    Raises:
        DataError: it is none of these, is empty, or its batches are not pairs of tensors.

    >>> len(gather((np.zeros((4, 2)), np.zeros(4)), "val"))
    4
    """
    if isinstance(data, Examples):
        return data
    if isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, DataLoader | Dataset):
        try:
            data = _joined(data, name)
        except MetricOptError:
            raise
        except Exception as error:
            raise DataError(
                f"reading {name} failed with {type(error).__name__}: {shortened(error)}; its batches must be pairs "
                "(inputs, targets) of tensors, alike but for their length"
            ) from error
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        what = f"{len(data)} things" if isinstance(data, tuple | list) else f"a {type(data).__name__}"
        rows = isinstance(data, list) and len(data) > 0 and isinstance(data[0], Mapping | tuple | list)
        todo = "a list of rows goes in a DataLoader" if rows else "wrap what your model takes in one input tensor"
        raise DataError(
            f"{name} must be a pair (inputs, targets), a Dataset or a DataLoader of such pairs, got {what}; {todo}"
        )
    sides = ("inputs", "targets", "beside the targets")
    inputs, targets, *beside = (_nest(part, f"{side} of {name}") for part, side in zip(data, sides, strict=False))
    if rows_of(inputs) != rows_of(targets) or rows_of(inputs) == 0:
        raise DataError(
            f"{name} has {rows_of(inputs)} inputs and {rows_of(targets)} targets; both must have the same length, at "
            f"least 1"
        )
    return Examples(inputs=inputs, targets=targets, beside=beside[0] if beside else None)


def _joined(data: Any, name: str) -> tuple[Any, ...]:
    """All batches as one, without touching the global random state."""
    if isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size=64)
    by_row = isinstance(data, Dataset) or not (data.batch_sampler is None or isinstance(data.dataset, IterableDataset))
    parts = list(batches(in_order(data, name) if by_row else data, name))
    if not parts:
        raise DataError(f"{name} is empty; give at least one example")
    inputs, targets, beside = zip(*parts, strict=True)
    found = concatenated(inputs), concatenated(targets)
    return found if beside[0] is None else (*found, concatenated(beside))


def _nest(value: Any, what: str) -> Any:
    """Tensors, in a tuple or mapping where the model takes several; a list of records stays one."""
    if isinstance(value, Mapping):
        return {name: _nest(part, what) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_nest(part, what) for part in value)
    if isinstance(value, list) and value and isinstance(value[0], Mapping | Tensor):
        return value
    return _tensor(value, what)


def _tensor(value: Any, what: str) -> Tensor:
    if hasattr(value, "to_numpy"):  # a pandas frame or series
        value = value.to_numpy()
    if isinstance(value, list):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise DataError(f"the {what} are lists of different lengths; a tensor needs rows that are alike") from error
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise DataError(
                f"the {what} hold {value.dtype} values; a model takes numbers: encode text and categories first, "
                "or use MetricOptClassifier, which does"
            )
        # Double precision becomes single, which is what models have. A copy: torch refuses some memory layouts.
        value = torch.from_numpy(value.astype(np.float32 if value.dtype.kind == "f" else value.dtype))
    if not isinstance(value, Tensor) or value.dim() == 0:
        raise DataError(f"the {what} must be a tensor or a NumPy array with examples first, got {described(value)}")
    return value
