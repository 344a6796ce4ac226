"""A workload whose examples are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, final

import torch
from torch import Tensor

from .._random import generator as named_generator
from ..adapters import AdaptedModel
from ..profiles import Slices
from . import nests
from .examples import Examples, as_examples
from .workload import Workload

#: `(inputs, generator) -> inputs`, for each mini-batch anew.
Augment = Callable[[Any, torch.Generator], Any]


@final
class TensorWorkload(Workload):
    """Inputs and targets as tensors. What lies in front of phi is computed once where it fits into `memory`.

    Args:
        adapted: the model with its adapters.
        train: examples for the loss, or a pair (inputs, targets) of tensors or NumPy arrays.
        val: the search split: examples for the metric, or a pair.
        augment: changes the inputs of each mini-batch, `(inputs, generator) -> inputs`; features in front of phi are
            then computed for each batch anew.
        settings: loss, sampler, batch_size, outputs, phi_scale, memory, autocast, see `Workload`.

    >>> from metricopt import attach, get_loss
    >>> from metricopt.adapters import OutputShift
    >>> x, y = torch.zeros(8, 3), torch.arange(8.0) % 2
    >>> adapted = attach(torch.nn.Linear(3, 1), OutputShift(), probe=x[:2])
    >>> workload = TensorWorkload(adapted, loss=get_loss("cross_entropy"), train=(x, y), val=(x, y))
    >>> tuple(workload.predict(torch.zeros(5, 2)).shape), workload.kind
    ((5, 8, 1), 'binary')
    """

    def __init__(
        self,
        adapted: AdaptedModel,
        *,
        train: Examples | tuple[Any, Any],
        val: Examples | tuple[Any, Any],
        augment: Augment | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(adapted, **settings)
        self.train = as_examples(train)
        self.val = as_examples(val)
        self._augment = augment

    @property
    def targets(self) -> Any:
        return self._once_only("targets", lambda: nests.on(self.val.targets, "cpu"))

    @property
    def judged_by(self) -> Any:
        return self._once_only("judged by", lambda: nests.on(self.val.judged_by, "cpu"))

    @property
    def groups(self) -> Tensor | None:
        return self.val.groups

    @property
    def train_size(self) -> int:
        return len(self.train)

    @property
    def train_targets(self) -> Any:
        return self.train.targets

    @property
    def _one_input(self) -> Any:
        return nests.sliced(self.train.inputs, 0, 1)

    def prepare(self) -> None:
        super().prepare()
        self._kept("train"), self._kept("val")

    def blocks(self, of: Any = None) -> Iterator[Any]:
        if of is None:
            kept = self._kept("val")
            if kept is not None:
                yield kept
                return
        inputs = self.val.inputs if of is None else nests.on(as_examples(of).inputs, self.adapted.phi.device)
        size = self.rows_at_once()
        for start in range(0, nests.rows_of(inputs), size):
            yield self.head(nests.sliced(inputs, start, start + size))

    def drawn(self, indices: Tensor) -> tuple[Any, Any]:
        inputs, targets = nests.take(self.train.inputs, indices), nests.take(self.train.targets, indices)
        if self._augment is not None:
            inputs = self._augment(inputs, named_generator("augment", *indices[:8].tolist(), int(indices.sum())))
        return inputs, targets

    def features(self, indices: Tensor) -> tuple[Any, Any]:
        kept = None if self._augment is not None else self._kept("train")
        if kept is None:
            return super().features(indices)
        return nests.take(kept, indices), nests.take(self.train.targets, indices)

    def search_features(self, indices: Tensor) -> tuple[Any, Any]:
        kept = self._kept("val")
        found = self.head(nests.take(self.val.inputs, indices)) if kept is None else nests.take(kept, indices)
        return found, nests.take(self.val.targets, indices)

    def _told(self, slices: Slices, part: Literal["train", "val"], indices: Tensor | None) -> Tensor:
        found: Tensor = self._once_only(f"slices of {part}", lambda: slices(self._inputs(part)))
        return found if indices is None else found[indices]

    def _inputs(self, part: Literal["train", "val"]) -> Any:
        return (self.train if part == "train" else self.val).inputs

    def _kept(self, part: Literal["train", "val"]) -> Any:
        """Features of all rows of a part, or None where they would take more than `memory`: then they are made anew."""

        def make() -> Any:
            inputs = self._inputs(part)
            if not self.adapted.splits:
                return inputs  # nothing lies in front of the first adapted layer
            with torch.no_grad(), self.precision():
                one = self.adapted.head(nests.sliced(inputs, 0, 1))
            needed = nests.size_in_bytes(one) * nests.rows_of(inputs)
            return None if needed > self.memory else self.head(inputs)

        return self._once_only(f"features of {part}", make)
