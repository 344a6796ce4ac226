"""What every workload can do: predict at many phis, and give losses with their gradients."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Self

import torch
from torch import Tensor

from .._checks import at_least, one_of
from .._errors import ConfigError
from .._phi import PhiSpec
from .._random import generator as named_generator
from .._types import SAMPLERS, LossFunction, Sampler
from .._vmap_or_loop import VmapOrLoop
from ..adapters import AdaptedModel
from ..profiles import PROFILES, Profile, Slices, clusters
from . import nests
from .activations import bytes_per_row
from .kinds import OutputKind, labels_of, output_kind
from .phi_scale import default_phi_scale, estimated_sensitivity, exact_sensitivity
from .resampling import by_class
from .training_loss import TrainingLoss

#: Scores are computed in blocks of about this many (phi, example) pairs: a block then stays in the cache.
BLOCK = 4096
#: So many phis go through the model together.
POPULATION = 8
#: A mini-batch of at most this many numbers is small, if its rows are short: rows of a table, not images.
_SMALL_BATCH = 1 << 18
SHORT_ROW = 512
#: Clusters are found in so many training rows.
_MOST_CLUSTERED = 10_000


class Workload(ABC):
    """An adapted model, what it is trained on, and the examples that a metric is asked about. It knows no metric.

    Whoever searches asks it for outputs, losses and gradients at populations of phi; all of that is free.
    The model is set to eval mode and left there.

    Args:
        adapted: the model with its adapters, see `metricopt.attach`.
        loss: `(outputs, targets) -> scalar`, mean over examples, or a `TrainingLoss`. It is fast where
            `torch.func.vmap` can map it: tensor operations only, no `if` on values; otherwise it runs phi by phi.
        sampler: mini-batches drawn "plain" (uniformly) or class-"balanced" (each class equally often).
        batch_size: examples in a mini-batch.
        outputs: what the outputs are, see `OUTPUT_KINDS`; None where that is beyond doubt.
        phi_scale: `(d,)`, how far each coordinate of phi is explored; default: `default_phi_scale`.
        memory: bytes that activations of one backward pass may take, and again features that are kept.
        autocast: a dtype to compute in, for example `torch.bfloat16`; None for the model's own.
        profile: what a value function reads of the outputs; None for that of their kind, see `metricopt.profiles`.
        slices: parts of the rows that the profile looks into; a number for so many clusters of the features.
    """

    def __init__(
        self,
        adapted: AdaptedModel,
        *,
        loss: LossFunction | TrainingLoss,
        sampler: Sampler = "plain",
        batch_size: int = 512,
        outputs: str | None = None,
        phi_scale: Tensor | None = None,
        memory: int = 1 << 30,
        autocast: torch.dtype | None = None,
        profile: Profile | None = None,
        slices: Slices | int | None = None,
    ) -> None:
        one_of("sampler", sampler, SAMPLERS)
        if not callable(loss):
            raise ConfigError(f"loss must be a function (scores, targets) -> scalar, got {loss!r}; try get_loss(name)")
        self.adapted = adapted.eval()
        self.loss = loss
        self.sampler = sampler
        self.batch_size = at_least("batch_size", batch_size, 1)
        self.memory = at_least("memory", memory, 1)
        self.autocast = autocast
        self._declared = outputs
        self._profile = profile
        self._slices = slices
        self._each = VmapOrLoop()
        #: What is computed once; workloads that differ in their loss alone share it.
        self._once: dict[str, Any] = {}
        if phi_scale is not None:
            self.spec.check(phi_scale)
            if not bool((phi_scale.isfinite() & (phi_scale > 0)).all()):
                raise ConfigError(
                    "every coordinate of phi_scale must be positive and finite; phi / phi_scale is searched"
                )
            self._once["phi_scale"] = phi_scale

    # --- what a kind of storage supplies ----------------------------------------------------------

    @property
    @abstractmethod
    def targets(self) -> Any:
        """Targets of the search split, on the CPU."""

    @property
    def judged_by(self) -> Any:
        """What a metric gets beside the outputs of the search split: its targets, and what it alone is told."""
        return self.targets

    @property
    @abstractmethod
    def groups(self) -> Tensor | None:
        """`(N,)`: which rows of the search split belong together; None where each stands alone."""

    @property
    @abstractmethod
    def train_size(self) -> int:
        """How many examples mini-batches are drawn from."""

    @property
    @abstractmethod
    def train_targets(self) -> Any:
        """Targets of the training examples, all of them."""

    @abstractmethod
    def blocks(self, of: Any = None) -> Iterator[Any]:
        """Features of the search split, or of other examples, in blocks and in order."""

    @abstractmethod
    def drawn(self, indices: Tensor) -> tuple[Any, Any]:
        """Inputs and targets of the training rows `indices` `(m,)`, on the device of the model."""

    def features(self, indices: Tensor) -> tuple[Any, Any]:
        """Features in front of phi and targets of the training rows `indices` `(m,)`."""
        inputs, targets = self.drawn(indices)
        return self.head(inputs), targets

    @abstractmethod
    def search_features(self, indices: Tensor) -> tuple[Any, Any]:
        """The same of rows of the search split."""

    # --- what all share ---------------------------------------------------------------------------

    @property
    def spec(self) -> PhiSpec:
        return self.adapted.spec

    @property
    def dim(self) -> int:
        return self.spec.dim

    @property
    def start(self) -> Tensor:
        """phi = 0, the model as it was trained, `(d,)`; float32 whatever the model's dtype is."""
        return torch.zeros(self.dim)

    @property
    def is_small(self) -> bool:
        """True where a mini-batch is so little work that more than one thread of torch only gets in its own way."""
        row = nests.numel(self._one_input)
        return row <= SHORT_ROW and self.batch_size * row <= _SMALL_BATCH

    @property
    def kind(self) -> OutputKind:
        """What the outputs are."""
        found: OutputKind = self._once_only("kind", self._find_kind)
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the outputs for two examples; empty where they are no tensor."""
        found: tuple[int, ...] = self._once_only("shape", self._find_shape)
        return found

    @property
    def profile(self) -> Profile | None:
        """What a value function reads of the outputs; None for outputs that have no profile."""
        found, slices = self._profile, self.slices
        if found is None and self.kind in PROFILES:
            found = self._once_only("profile", self._usual_profile)
        if slices is not None and (found is None or "slices" not in found.families):
            what = f"outputs of the kind {self.kind!r}" if self._profile is None else f"the profile {self._profile!r}"
            raise ConfigError(f"{what} cannot look into slices; leave slices= out")
        return found

    def _usual_profile(self) -> Profile | None:
        width, slices = self.shape[-1] if len(self.shape) > 1 else 1, self.slices
        usual = PROFILES[self.kind](width, () if slices is None else tuple(slices.names))
        few = self._first_outputs()
        return usual.for_data(few, self.targets) if usual.fits(few, self.targets) else None

    @property
    def slices(self) -> Slices | None:
        """Parts of the rows that the profile looks into."""
        wanted = self._slices
        if not isinstance(wanted, int):
            return wanted
        found: Slices = self._once_only("clusters", lambda: self._found_clusters(wanted))
        return found

    def _found_clusters(self, count: int) -> Slices:
        rows = torch.arange(min(self.train_size, _MOST_CLUSTERED))
        return clusters(self.head, [self.features(part)[0] for part in rows.split(self.rows_at_once())], count)

    def slices_of(self, part: Literal["train", "val"], indices: Tensor | None = None) -> Tensor | None:
        """`(N, S)`, 1 where a row of a part belongs to a slice; None where there are no slices."""
        slices = self.slices
        return None if slices is None else self._told(slices, part, indices)

    @abstractmethod
    def _told(self, slices: Slices, part: Literal["train", "val"], indices: Tensor | None) -> Tensor:
        """What `slices` say of the rows `indices` of a part."""

    def with_loss(self, loss: LossFunction | TrainingLoss | None) -> Self:
        """The same workload with another loss; all that does not depend on it is shared."""
        twin = copy.copy(self)
        if loss is not None and loss is not self.loss:
            twin.loss, twin._each = loss, VmapOrLoop()
        return twin

    def head(self, inputs: Any) -> Any:
        """Features: all that lies in front of phi, without a gradient, in blocks of bounded memory."""
        if not self.adapted.splits:
            return inputs
        count = nests.rows_of(inputs)
        with torch.no_grad(), self.precision():
            size = self.rows_at_once()
            parts = [self.adapted.head(nests.sliced(inputs, i, i + size)) for i in range(0, count, size)]
            return nests.concatenated(parts)

    def predict(self, phis: Tensor, of: Any = None) -> Any:
        """Outputs at every phi, on the search split or on other examples: `(n, d)` to `(n, N, ...)`. No metric call.

        Outputs that are no tensors, such as detections, come as a list with one entry for each phi.
        """
        self.spec.check(phis)
        phis = phis.to(self.adapted.phi)
        found: list[Any] = []
        with torch.no_grad(), self.precision():
            for features in self.blocks(of):
                rows = max(BLOCK // max(min(len(phis), POPULATION), 1), 1)
                size = min(rows, self.rows_at_once())
                for start in range(0, nests.rows_of(features), size):
                    part = nests.sliced(features, start, start + size)
                    found.append(self._population(list(phis.split(POPULATION)), part))
        if isinstance(found[0], list):
            return [nests.concatenated([part[i] for part in found]) for i in range(len(phis))]
        return nests.concatenated(found, dim=1)

    def _population(self, chunks: list[Tensor], features: Any) -> Any:
        found = [self.adapted.outputs(chunk, features) for chunk in chunks]
        if self.adapted.gives_records:
            return [nests.on(one, "cpu") for part in found for one in part]
        return nests.concatenated(found)

    def draws(self, seed: int, steps: int) -> Tensor:
        """Mini-batch indices `(steps, batch_size)` into the training examples; they depend on `seed` alone."""
        generator = named_generator(seed, "batches")
        shape = (at_least("steps", steps, 0), self.batch_size)
        if self.sampler == "plain":
            return torch.randint(self.train_size, shape, generator=generator)
        order, counts, offsets = self._once_only("classes", self._classes)
        # Class after class, going on in the next batch where this one ends: small batches reach every class in turn.
        classes = torch.arange(shape[0] * shape[1]).reshape(shape) % len(counts)
        picks = (torch.rand(shape, generator=generator) * counts[classes]).long()
        drawn: Tensor = order[offsets[classes] + picks]
        return drawn

    def loss_and_grad(self, phis: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient at every phi on its own mini-batch.

        Each phi touches only its own examples, so one backward pass over the sum of the losses gives all gradients.
        So many phis go backward together as `memory` allows; where one alone needs more, its rows go in blocks.

        Args:
            phis: `(n, d)`.
            indices: `(n, B)` into the training examples.

        Returns:
            losses `(n,)` and gradients `(n, d)`.
        """
        point = phis.detach().requires_grad_(True)
        if isinstance(self.loss, TrainingLoss) or self._has_records:
            parts = [self._alone(one, index) for one, index in zip(point, indices, strict=True)]
        else:
            fitting = self.memory // max(self._bytes_per_row() * indices.shape[1], 1)
            step, size = (self._together, fitting) if fitting else (self._row_blocks, 1)
            parts = [step(some, index) for some, index in zip(point.split(size), indices.split(size), strict=True)]
        losses, grads = zip(*parts, strict=True)
        return torch.cat(losses), torch.cat(grads)

    @property
    def sensitivity(self) -> Tensor:
        """How phi moves the outputs: the diagonal of C = mean over examples of J^T J at phi = 0, `(d,)`.

        J is the Jacobian of an example's outputs: a step along coordinate i changes them by sqrt(C_ii), root mean
        square over examples and summed over outputs. Computed on up to 2,048 training examples where a batch is small
        work; else estimated on 256 in random directions. Free.
        """
        found: Tensor = self._once_only("sensitivity", self._sensitivity)
        return found

    @property
    def phi_scale(self) -> Tensor:
        """How far each coordinate of phi is explored, `(d,)`: phi = phi_scale * z with z of order one."""
        found: Tensor = self._once_only("phi_scale", lambda: default_phi_scale(self.spec, self.sensitivity))
        return found

    def prepare(self) -> None:
        """Compute now what is computed once: features, scale. Budgets of seconds then begin without it."""
        _ = self.kind, self.phi_scale

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast where it was asked for."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.adapted.phi.device.type, dtype=self.autocast)

    def rows_at_once(self) -> int:
        """How many rows go forward together within a quarter of `memory`."""
        return min(BLOCK, max(1, self.memory // max(4 * self._bytes_per_row(), 1)))

    # --- inside -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _one_input(self) -> Any:
        """One training input, as the model takes it."""

    @property
    def _has_records(self) -> bool:
        """Whether inputs, targets or outputs are lists of records."""

        def look() -> bool:
            stacked = map(_stacks, self.drawn(torch.zeros(1, dtype=torch.long)))
            return self.adapted.gives_records or not all(stacked)

        found: bool = self._once_only("has records", look)
        return found

    def _once_only(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._once:
            self._once[name] = make()
        return self._once[name]

    def _first_outputs(self) -> Any:
        """Outputs for two examples: their kind, their shape and whether they stack are read off the same ones."""

        def make() -> Any:
            features = nests.sliced(next(iter(self.blocks())), 0, 2)
            with torch.no_grad(), self.precision():
                return self.adapted.tail(self.start.to(self.adapted.phi), features)

        return self._once_only("first outputs", make)

    def _find_shape(self) -> tuple[int, ...]:
        outputs = self._first_outputs()
        return tuple(outputs.shape) if isinstance(outputs, Tensor) else ()

    def _find_kind(self) -> OutputKind:
        outputs = self._first_outputs()
        count = nests.rows_of(outputs) if not isinstance(outputs, dict) else 2
        targets = self.targets
        few = nests.sliced(targets, 0, count)
        labels = torch.cat([labels_of(t).reshape(-1).double() for t in (targets, self.train_targets)])
        return output_kind(outputs, few, declared=self._declared, labels=labels if labels.numel() else None)

    def _bytes_per_row(self) -> int:
        def measure() -> int:
            return bytes_per_row(self.adapted, self._one_input)

        found: int = self._once_only("bytes", measure)
        return found

    def _together(self, point: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        features, targets = self.features(indices.reshape(-1))
        shape = indices.shape
        features, targets = (
            nests.mapped(lambda t: t.reshape(*shape, *t.shape[1:]), one) for one in (features, targets)
        )
        with self.precision():
            outputs = self.adapted.outputs_each(point.to(self.adapted.phi), features)
            losses = self._each("loss", self.loss, outputs, targets)
        (grad,) = torch.autograd.grad(losses.sum(), point)
        return losses.detach(), grad

    def _row_blocks(self, point: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The same for one phi whose batch does not fit: outputs first, then the gradient block by block of rows."""
        assert not isinstance(self.loss, TrainingLoss)
        features, targets = self.features(indices[0])
        size, count = max(self.memory // max(self._bytes_per_row(), 1), 1), indices.shape[1]
        parts = [nests.sliced(features, i, i + size) for i in range(0, count, size)]
        with torch.no_grad(), self.precision():
            outputs = nests.concatenated([self.adapted.tail(point[0].to(self.adapted.phi), part) for part in parts])
        if not isinstance(outputs, Tensor):  # a nest of several: all at once, whatever it takes
            return self._together(point, indices)
        outputs = outputs.requires_grad_(True)
        with self.precision():
            loss = self.loss(outputs, targets)
        (wanted,) = torch.autograd.grad(loss, outputs)
        total = torch.zeros_like(point)
        for part, slope in zip(parts, wanted.split(size), strict=True):
            with self.precision():
                again = self.adapted.tail(point[0].to(self.adapted.phi), part)
            total += torch.autograd.grad(again, point, slope)[0]
        return loss.detach()[None], total

    def _alone(self, phi: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The same for one phi `(d,)`: losses of the whole model, and records, which do not stack."""
        if isinstance(self.loss, TrainingLoss):
            inputs, targets = self.drawn(indices)
            with self.adapted.at(phi.to(self.adapted.phi)) as model, self.precision():
                loss = self.loss(model, inputs, targets)
        else:
            features, targets = self.features(indices)
            with self.precision():
                loss = self.loss(self.adapted.tail(phi.to(self.adapted.phi), features), targets)
        (grad,) = torch.autograd.grad(loss, phi)
        return loss.detach()[None].to(grad), grad[None]

    def _classes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Training indices ordered by class, the number of each class, and where each begins."""
        targets = self.train_targets
        if not isinstance(targets, Tensor) or (targets.dim() > 1 and targets.shape[-1] > 1):
            raise ConfigError(
                'sampler="balanced" needs one class per example; use sampler="plain" for multilabel targets'
            )
        return by_class(targets.reshape(-1))

    def _sensitivity(self) -> Tensor:
        exact = self.is_small and isinstance(self._first_outputs(), Tensor) and not self._has_records
        count = min(self.train_size, 2048 if exact else 256)
        chosen = torch.randperm(self.train_size, generator=named_generator(0, "sensitivity"))[:count]
        if exact:
            return exact_sensitivity(self.adapted, self.features, chosen)
        size = max(1, self.memory // max(2 * self._bytes_per_row(), 1))
        return estimated_sensitivity(self.adapted, self.features, chosen.split(size))


def _stacks(nest: Any) -> bool:
    """Whether several such things are one nest of tensors: not lists of records, whose lengths differ."""
    if isinstance(nest, Tensor):
        return True
    if isinstance(nest, Mapping):
        return all(_stacks(part) for part in nest.values())
    return isinstance(nest, tuple) and all(_stacks(part) for part in nest)
