"""A workload that reads its examples whenever it needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from .._errors import DataError
from .._random import derive_seed
from ..adapters import AdaptedModel
from . import nests
from .examples import Examples
from .workload import Workload


@final
class StreamedWorkload(Workload):
    """A DataLoader or Dataset for training, another for the search split; neither is held in memory.

    What lies in front of phi is kept for the search split where it fits into `memory`; else the split is read again for
    each population. Whatever the dataset does at random to a training example (augmentation) is done anew for each
    mini-batch, the same way for the same seed.

    Args:
        adapted: the model with its adapters.
        train: a Dataset with a length, or a DataLoader of one, whose `collate_fn` is used.
        val: a DataLoader that goes through the search split in the same order each time, or a Dataset.
        groups: `(N,)` for the rows of `val` that belong together.
        settings: loss, sampler, batch_size, outputs, phi_scale, memory, autocast, see `Workload`.

    >>> from torch.utils.data import TensorDataset
    >>> from metricopt import attach, get_loss
    >>> from metricopt.adapters import OutputShift
    >>> data = TensorDataset(torch.zeros(8, 3), torch.arange(8.0) % 2)
    >>> adapted = attach(torch.nn.Linear(3, 1), OutputShift(), probe=torch.zeros(2, 3))
    >>> workload = StreamedWorkload(adapted, loss=get_loss("cross_entropy"), train=data, val=data, batch_size=4)
    >>> tuple(workload.predict(torch.zeros(5, 2)).shape)
    (5, 8, 1)
    """

    def __init__(
        self,
        adapted: AdaptedModel,
        *,
        train: Dataset[Any] | DataLoader[Any],
        val: Dataset[Any] | DataLoader[Any],
        groups: Tensor | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(adapted, **settings)
        self._train, self._collate = _map_style(train)
        self._val = val
        self._groups = groups

    @property
    def targets(self) -> Any:
        return self._once_only("targets", self._read_targets)

    @property
    def groups(self) -> Tensor | None:
        return self._groups

    @property
    def train_size(self) -> int:
        return len(self._train)

    @property
    def train_targets(self) -> Any:
        return self._once_only("train targets", self._read_train_targets)

    @property
    def _one_input(self) -> Any:
        return self._once_only("one input", lambda: self.drawn(torch.zeros(1, dtype=torch.long))[0])

    def blocks(self, of: Any = None) -> Iterator[Any]:
        if of is None and self.adapted.splits:
            kept = self._once_only("features of val", self._keep)
            if kept is not None:
                yield kept
                return
        if isinstance(of, Examples):
            yield self.head(nests.on(of.inputs, self.adapted.phi.device))
            return
        for inputs, _ in self._batches(self._val if of is None else of):
            yield self.head(nests.on(inputs, self.adapted.phi.device))

    def drawn(self, indices: Tensor) -> tuple[Any, Any]:
        seed = derive_seed("augment", *indices[:8].tolist(), int(indices.sum()))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            batch = self._collate([self._train[int(i)] for i in indices])
        inputs, targets = _pair(batch, "train")
        device = self.adapted.phi.device
        return nests.on(inputs, device), nests.on(targets, device)

    def _batches(self, data: Any) -> Iterable[tuple[Any, Any]]:
        loader = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=64)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed("val"))
            for batch in loader:
                yield _pair(batch, "val")

    def _read_targets(self) -> Any:
        parts = [targets for _, targets in self._batches(self._val)]
        if not parts:
            raise DataError("val is empty; give at least one example")
        return nests.on(nests.concatenated(parts), "cpu")

    def _read_train_targets(self) -> Any:
        """From the attribute that datasets of images have; else example by example, where they must be known."""
        known = getattr(self._train, "targets", None)
        if known is not None:
            return torch.as_tensor(known)
        if self.sampler == "plain":
            return torch.zeros(0)
        return torch.stack([torch.as_tensor(self._train[i][1]) for i in range(len(self._train))])

    def _keep(self) -> Any:
        """Features of the search split, or None where they would take more than `memory`."""
        found, size = [], 0
        for inputs, _ in self._batches(self._val):
            found.append(self.head(nests.on(inputs, self.adapted.phi.device)))
            size += nests.size_in_bytes(found[-1])
            if size > self.memory:
                return None
        return nests.concatenated(found)


def _map_style(data: Any) -> tuple[Any, Any]:
    dataset, collate = (data.dataset, data.collate_fn) if isinstance(data, DataLoader) else (data, default_collate)
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            "train is read by row, so that a run can be repeated: give a Dataset with a length and an index, not an "
            "IterableDataset; a stream may be collected into one first"
        )
    return dataset, collate


def _pair(batch: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        what = f"{len(batch)} things" if isinstance(batch, tuple | list) else f"a {type(batch).__name__}"
        raise DataError(f"each batch of {name} must be a pair (inputs, targets), got {what}; give a collate_fn")
    return batch[0], batch[1]
