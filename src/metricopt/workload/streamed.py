"""A workload that reads its examples whenever it needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .._random import derive_seed
from ..adapters import AdaptedModel
from ..profiles import Slices
from . import nests
from .examples import Examples, inputs_like
from .stream import Stream, known_targets
from .workload import Workload


@final
class StreamedWorkload(Workload):
    """A DataLoader or Dataset for training, another for the search split; neither is held in memory.

    Features in front of phi, or inputs where nothing lies there, are kept for the search split where they fit into
    `memory`; else the split is read again for each population. Whatever the dataset does at random to a training
    example (augmentation) is done anew for each mini-batch, the same way for the same seed.

    Args:
        adapted: the model with its adapters.
        train: a Dataset with a length, or a DataLoader of one, whose `collate_fn` is used.
        val: the search split: a `Stream`, or what one is made of.
        groups: `(N,)` for the rows of `val` that belong together, where it is no `Stream`.
        settings: loss, sampler, batch_size, outputs, phi_scale, memory, autocast, slices, see `Workload`.

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
        val: Stream | Dataset[Any] | DataLoader[Any],
        groups: Tensor | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(adapted, **settings)
        self.train = Stream(train, name="train")
        self.val = val if isinstance(val, Stream) else Stream(val, groups=groups)
        #: The last mini-batch that was read: whoever asks for its slices asks for its rows, too.
        self._last: tuple[Tensor, tuple[Any, Any]] | None = None

    @property
    def targets(self) -> Any:
        return self.val.targets

    @property
    def judged_by(self) -> Any:
        return self.val.judged_by

    @property
    def groups(self) -> Tensor | None:
        return self.val.groups

    @property
    def train_size(self) -> int:
        return len(self.train)

    @property
    def train_targets(self) -> Any:
        return self._once_only("train targets", self._read_train_targets)

    @property
    def _one_input(self) -> Any:
        return self._once_only("one input", lambda: self.drawn(torch.zeros(1, dtype=torch.long))[0])

    def blocks(self, of: Any = None) -> Iterator[Any]:
        kept = self._kept if of is None else None
        if kept is not None:
            yield kept
            return
        if isinstance(of, Examples):
            yield self.head(self._ready(of.inputs))
            return
        rows = self.val if of is None else of if isinstance(of, Stream) else Stream(of)
        for batch in rows.batches():
            yield self.head(self._ready(batch.inputs))

    def drawn(self, indices: Tensor) -> tuple[Any, Any]:
        if self._last is not None and torch.equal(self._last[0], indices):
            return self._last[1]
        rows = self.train.drawn(indices, seed=_seed_of(indices))
        found = self._ready(rows.inputs), nests.on(rows.targets, self.adapted.phi.device)
        self._last = indices, found
        return found

    def search_features(self, indices: Tensor) -> tuple[Any, Any]:
        kept, device = self._kept, self.adapted.phi.device
        if kept is not None:
            return nests.take(kept, indices), nests.on(nests.take(self.targets, indices), device)
        rows = self.val.drawn(indices, seed=_seed_of(indices))
        return self.head(self._ready(rows.inputs)), nests.on(rows.targets, device)

    def _told(self, slices: Slices, part: Literal["train", "val"], indices: Tensor | None) -> Tensor:
        if part == "train":
            return slices(self.drawn(torch.arange(self.train_size) if indices is None else indices)[0])
        found: Tensor = self._once_only(
            "slices of val", lambda: torch.cat([slices(self._ready(rows.inputs)) for rows in self.val.batches()])
        )
        return found if indices is None else found[indices]

    def _ready(self, inputs: Any) -> Any:
        return inputs_like(self.adapted.model, inputs, self.adapted.phi.device)

    def _read_train_targets(self) -> Any:
        """From the attribute that datasets of images have; else example by example, where they must be known."""
        known, data = known_targets(self.train.dataset), self.train.dataset
        if known is not None:
            return known
        if self.sampler == "plain":
            return torch.zeros(0)
        return torch.stack([torch.as_tensor(data[i][1]) for i in range(len(data))])

    @property
    def _kept(self) -> Any:
        return self._once_only("features of val", self._keep)

    def _keep(self) -> Any:
        """Features of the search split, or None where they would take more than `memory`."""
        found, size = [], 0
        for rows in self.val.batches():
            found.append(self.head(self._ready(rows.inputs)))
            size += nests.size_in_bytes(found[-1])
            if size > self.memory:
                return None
        return nests.concatenated(found)


def _seed_of(indices: Tensor) -> int:
    return derive_seed("augment", *indices[:8].tolist(), int(indices.sum()))
