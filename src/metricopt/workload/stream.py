"""Examples that are read whenever they are needed; what is small of them is read once and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from .._errors import ConfigError, DataError
from .._random import derive_seed
from ..metrics import Judged
from . import nests
from .examples import Examples, as_numbers
from .row_hashes import row_hashes


class Rows(NamedTuple):
    """A batch: inputs, targets, and what the metric alone is told of each row."""

    inputs: Any
    targets: Any
    beside: Any = None


@final
class Stream:
    """A Dataset, or some of its rows, in a fixed order. Inputs are read whenever they are needed.

    Targets, what stands beside them and what identifies each row are read once, all together, and kept.

    Args:
        data: a Dataset with a length, or a DataLoader of one, whose `collate_fn`, batch size and workers are used. Of a
            loader with a sampler of its own the rows that this one picks.
        name: of the argument that it comes from, for messages.
        groups: `(N,)` integers, where rows belong together, see `Examples`.

    >>> from torch.utils.data import TensorDataset
    >>> stream = Stream(TensorDataset(torch.zeros(5, 3), torch.arange(5)))
    >>> len(stream), stream.take(torch.tensor([4, 1])).targets
    (5, tensor([4, 1]))
    """

    def __init__(
        self, data: Dataset[Any] | DataLoader[Any], *, name: str = "val", groups: Tensor | None = None
    ) -> None:
        self._loader, self._name, self.groups = in_order(data, name), name, groups
        if len(self) == 0:
            raise DataError(f"{name} is empty; give at least one example")
        if groups is not None and groups.shape != (len(self),):
            raise ConfigError(f"groups must be one integer for each of {len(self)} rows, got {tuple(groups.shape)}")

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def dataset(self) -> Any:
        """What the rows come from, these and no others."""
        return self._loader.dataset

    def drawn(self, indices: Tensor, *, seed: int) -> Rows:
        """The rows `indices` as a mini-batch; what the dataset does at random depends on `seed` alone."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            batch = self._loader.collate_fn([self.dataset[int(i)] for i in indices])
        return as_rows(batch, self._name, self._loader.collate_fn)

    def batches(self) -> Iterator[Rows]:
        """All rows, in order."""
        return batches(self._loader, self._name)

    @cached_property
    def _known(self) -> tuple[Tensor, Any, Any]:
        """Hashes, targets, and what stands beside them."""
        hashes, targets, beside = zip(
            *((row_hashes(rows.inputs, rows.targets), rows.targets, rows.beside) for rows in self.batches()),
            strict=True,
        )
        told = None if beside[0] is None else nests.on(nests.concatenated(beside), "cpu")
        return torch.cat(hashes), nests.on(nests.concatenated(targets), "cpu"), told

    @property
    def hashes(self) -> Tensor:
        """`(N,)`: what identifies each row."""
        return self._known[0]

    @property
    def targets(self) -> Any:
        """All targets, on the CPU."""
        return self._known[1]

    @property
    def judged_by(self) -> Any:
        """What a metric gets beside the outputs: targets, or `Judged`."""
        _, targets, beside = self._known
        return targets if beside is None else Judged(targets, beside)

    def take(self, index: Tensor) -> Stream:
        """The rows `index`, in that order."""
        groups = None if self.groups is None else self.groups[index]
        loader = _with_rows(self._loader, index.tolist())
        part = Stream(loader, name=self._name, groups=groups)
        if "_known" in vars(self):
            part.__dict__["_known"] = tuple(None if one is None else nests.take(one, index) for one in self._known)
        return part

    def first(self, count: int) -> Stream:
        """The first rows."""
        return self.take(torch.arange(min(count, len(self))))

    def gathered(self) -> Examples:
        """All rows in memory."""
        inputs, targets, beside = zip(*self.batches(), strict=True)
        told = None if beside[0] is None else nests.concatenated(beside)
        return Examples(inputs=nests.concatenated(inputs), targets=nests.concatenated(targets), beside=told)


def in_order(data: Dataset[Any] | DataLoader[Any], name: str) -> DataLoader[Any]:
    """A loader that goes through `data` by row and in order; of a loader with a sampler of its own, what that picks.

    Raises: DataError, rows cannot be told apart.
    """
    dataset: Any = data.dataset if isinstance(data, DataLoader) else data
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            f"{name} is read by row, so that a run can be repeated: give a Dataset with a length and an index, not an "
            "IterableDataset; a stream may be collected into one first"
        )
    if not isinstance(data, DataLoader):
        return DataLoader(dataset, batch_size=64)
    if data.batch_sampler is None:
        raise DataError(f"{name} is read by row, but its DataLoader has batch_size=None; give one with a batch size")
    rows = _picked(data)
    return _with_rows(data, rows) if rows is not None else _like(data, dataset)


def known_targets(dataset: Any) -> Tensor | None:
    """Targets of tensors, or from the attribute that datasets of images have, where they are what rows come with."""
    if isinstance(dataset, Subset):
        found = known_targets(dataset.dataset)
        return None if found is None else found[torch.as_tensor(dataset.indices)]
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) > 1:
        return dataset.tensors[1]
    if getattr(dataset, "target_transform", None) is not None or not hasattr(dataset, "targets"):
        return None
    try:
        return torch.as_tensor(dataset.targets)
    except (TypeError, ValueError, RuntimeError):  # boxes, texts: no numbers that a sampler could balance
        return None


def batches(loader: DataLoader[Any], name: str) -> Iterator[Rows]:
    """The batches of `loader` in turn; what it draws comes from a fixed seed, and the global state is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("reading"))
        for batch in loader:
            yield as_rows(batch, name, loader.collate_fn)


def as_rows(batch: Any, name: str, collate: Any) -> Rows:
    """A batch as `collate` made it: a pair, a third thing beside it, or a mapping with labels."""
    if collate is default_collate:
        batch = _tuples(batch)
    if isinstance(batch, Mapping) and "labels" in batch:  # as models of transformers take them
        batch = ({key: value for key, value in batch.items() if key != "labels"}, batch["labels"])
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise DataError(
            f"each batch of {name} must be a pair (inputs, targets) of tensors, or a mapping with 'labels', got "
            f"{described(batch)}; give a collate_fn, or a pair of tensors"
        )
    return Rows(batch[0], as_numbers(batch[1]), *batch[2:])


def _tuples(nest: Any) -> Any:
    """Tuples of several inputs, of which torch's collation makes lists, as tuples again: a list is one of records."""
    if isinstance(nest, tuple | list):
        return tuple(_tuples(part) for part in nest)
    return nest


def described(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"{len(value)} things: {', '.join(type(part).__name__ for part in value[:4])}"
    return f"a {type(value).__name__}"


def _picked(loader: DataLoader[Any]) -> list[int] | None:
    """The rows that a sampler of the user's own picks, drawn once; None for all of them."""
    dataset: Any = loader.dataset
    batch_sampler: Any = loader.batch_sampler
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed("sampler"))
        if type(batch_sampler) is not BatchSampler:
            return list(chain.from_iterable(batch_sampler))
        sampler: Any = batch_sampler.sampler
        everything = type(sampler) in (SequentialSampler, RandomSampler) and not getattr(sampler, "replacement", False)
        return None if everything and len(sampler) == len(dataset) else list(sampler)


def _with_rows(loader: DataLoader[Any], rows: Sequence[int]) -> DataLoader[Any]:
    return _like(loader, Subset(loader.dataset, rows))


def _like(loader: DataLoader[Any], dataset: Any) -> DataLoader[Any]:
    """A loader of `dataset` in order, that is otherwise as `loader` is."""
    return DataLoader(
        dataset,
        batch_size=loader.batch_size or 64,
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
    )
