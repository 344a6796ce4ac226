"""Whatever a user keeps data in, as `Examples`: pairs, Datasets, DataLoaders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler, TensorDataset

from .._errors import DataError, MetricOptError
from .._random import derive_seed
from ..runtime import shortened
from ..workload import Examples, concatenated
from ..workload.nests import mapped, rows_of


def gather(data: Any, name: str) -> Examples:
    """All of `data` in memory: inputs and targets as one tensor each, or as a tuple or mapping of tensors.

    A DataLoader that shuffles or goes in order is read in order, so that a run can be repeated; one with a sampler of
    its own is read once as it is. The global random state comes back as it was.

    Args:
        data: `Examples`, a pair (inputs, targets) of tensors or NumPy arrays, a Dataset of (input, target), or a
            DataLoader of (inputs, targets). Beside the pair may stand what the metric alone is told of each row.
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
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        what = f"{len(data)} things" if isinstance(data, tuple | list) else f"a {type(data).__name__}"
        raise DataError(
            f"{name} must be a pair (inputs, targets), a Dataset or a DataLoader of such pairs, got {what}; "
            "wrap what your model takes in one input tensor"
        )
    sides = ("inputs", "targets", "beside the targets")
    inputs, targets, *beside = (_nest(part, f"{side} of {name}") for part, side in zip(data, sides, strict=False))
    if rows_of(inputs) != rows_of(targets) or rows_of(inputs) == 0:
        raise DataError(
            f"{name} has {rows_of(inputs)} inputs and {rows_of(targets)} targets; both must have the same length, at "
            f"least 1"
        )
    return Examples(inputs=inputs, targets=targets, beside=beside[0] if beside else None)


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


def _joined(batches: Iterable[Any], name: str) -> tuple[Any, Any]:
    inputs, targets = [], []
    for batch in batches:
        if isinstance(batch, Mapping) and "labels" in batch:  # as models of transformers take them
            batch = ({key: value for key, value in batch.items() if key != "labels"}, batch["labels"])
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not pair:
            raise DataError(
                f"each batch of {name} must be a pair (inputs, targets) of tensors, or a mapping with 'labels', got "
                f"{_described(batch)}; give a collate_fn, or a pair of tensors"
            )
        inputs.append(batch[0])
        targets.append(batch[1])
    if not inputs:
        raise DataError(f"{name} is empty; give at least one example")
    return concatenated(inputs), concatenated(targets)


def inputs_like(model: nn.Module, inputs: Any, device: torch.device) -> Any:
    """Inputs on `device`, real ones in the precision of the model, none of them made in inference mode."""
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)

    def one(tensor: Tensor) -> Tensor:
        tensor = no_inference(tensor.detach())
        dtype = weight.dtype if weight is not None and tensor.is_floating_point() else tensor.dtype
        return tensor.to(device, dtype)

    return mapped(one, inputs)


def no_inference(tensor: Tensor) -> Tensor:
    """Tensors of inference mode take part in no gradient; their copies do."""
    return tensor.clone() if tensor.is_inference() else tensor


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
        raise DataError(f"the {what} must be a tensor or a NumPy array with examples first, got {_described(value)}")
    return value


def _described(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} things: {', '.join(type(part).__name__ for part in value[:4])}"
    return f"a {type(value).__name__}"
