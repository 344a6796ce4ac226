"""Whatever a user keeps data in, as `Examples`: pairs, Datasets, DataLoaders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler, TensorDataset

from .._errors import DataError, MetricOptError
from .._random import derive_seed
from ..problem import Examples
from ..runtime import shortened


def gather(data: Any, name: str) -> Examples:
    """All of `data` in memory, inputs and targets as one tensor each.

    A DataLoader that shuffles or goes in order is read in order, so that a run can be repeated; one with a sampler of
    its own is read once as it is. The global random state comes back as it was.

    Args:
        data: `Examples`, a pair (inputs, targets) of tensors or NumPy arrays, a Dataset of (input, target), or a
            DataLoader of (inputs, targets).
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
            data = _joined(_batches(data), name)
        except MetricOptError:
            raise
        except Exception as error:
            raise DataError(
                f"reading {name} failed with {type(error).__name__}: {shortened(error)}; its batches must be pairs "
                "(inputs, targets) of tensors, alike but for their length"
            ) from error
    if not isinstance(data, tuple | list) or len(data) != 2:
        what = f"{len(data)} things" if isinstance(data, tuple | list) else f"a {type(data).__name__}"
        raise DataError(
            f"{name} must be a pair (inputs, targets), a Dataset or a DataLoader of such pairs, got {what}; "
            "wrap what your model takes in one input tensor"
        )
    inputs, targets = (
        _tensor(part, f"{side} of {name}") for part, side in zip(data, ("inputs", "targets"), strict=True)
    )
    if len(inputs) != len(targets) or len(inputs) == 0:
        raise DataError(
            f"{name} has {len(inputs)} inputs and {len(targets)} targets; both must have the same length, at least 1"
        )
    return Examples(inputs=inputs, targets=targets)


def _batches(data: Any) -> Iterable[Any]:
    """Batches in a fixed order, without touching the global random state."""
    if isinstance(data, Dataset):
        return _seeded(DataLoader(data, batch_size=256))
    plain = type(data.sampler) in (SequentialSampler, RandomSampler) and not getattr(data.sampler, "replacement", False)
    whole = plain and data.batch_size is not None and not isinstance(data.dataset, IterableDataset)
    if whole and len(data.sampler) == len(data.dataset):
        return _seeded(DataLoader(data.dataset, batch_size=data.batch_size, collate_fn=data.collate_fn))
    return _seeded(data)


def _seeded(loader: DataLoader[Any]) -> Iterator[Any]:
    """The batches of `loader`; what it draws comes from a fixed seed, and the global state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("gather"))
        yield from loader


def _joined(batches: Iterable[Any], name: str) -> tuple[Tensor, Tensor]:
    inputs, targets = [], []
    for batch in batches:
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not pair or not all(isinstance(part, Tensor) for part in batch):
            raise DataError(
                f"each batch of {name} must be a pair (inputs, targets) of tensors, got "
                f"{_described(batch)}; give a collate_fn, or a pair of tensors"
            )
        inputs.append(batch[0])
        targets.append(batch[1])
    if not inputs:
        raise DataError(f"{name} is empty; give at least one example")
    return torch.cat(inputs), torch.cat(targets)


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
        raise DataError(f"the {what} must be a tensor or a NumPy array with examples first, got {_described(value)}")
    return value


def _described(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} things: {', '.join(type(part).__name__ for part in value[:4])}"
    return f"a {type(value).__name__}"
