"""The live object: adapted model, data, loss, metric and budget. The only door to a metric."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ._checks import at_least, one_of, positive
from ._each import Each
from ._errors import BudgetExhausted, ConfigError
from ._phi import PhiSpec
from ._random import generator as named_generator
from ._types import SAMPLERS, LossFunction, Sampler
from .adapters import AdaptedModel
from .metrics import Budget, Meter, Metric

#: Scores are computed in blocks of about this many (phi, example) pairs: a block then stays in the cache.
_BLOCK = 4096
#: Features in front of the first adapted layer are kept if they need at most this many bytes.
_KEEP_BYTES = 1 << 30
#: The sensitivity of models with more outputs than this is estimated in as many random directions.
_MOST_DIRECTIONS = 64
#: A mini-batch of at most this many numbers is small: rows of a table, not images.
_SMALL_BATCH = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and targets of the same length, as tensors.

    >>> len(Examples(inputs=torch.zeros(5, 3), targets=torch.zeros(5)))
    5
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets) or len(self.inputs) == 0:
            raise ConfigError(
                f"inputs and targets must have the same length of at least 1, got {len(self.inputs)} and "
                f"{len(self.targets)}"
            )
        if self.targets.dtype == torch.bool:  # losses and class counts need numbers
            object.__setattr__(self, "targets", self.targets.float())

    def __len__(self) -> int:
        return len(self.inputs)


class Problem:
    """Everything that a method may ask about one model and one metric.

    A method sees phi and numbers. `outputs`, `loss_and_grad`, `draws` and `sensitivity` are free;
    `observe` and `measure` are the two doors to the metric and both spend the budget.
    The model is set to eval mode and left there: dropout is off, running statistics stay as they are.

    Args:
        adapted: the model with its adapters, see `metricopt.attach`.
        loss: `(scores, targets) -> scalar`, mean over examples. It is fast where `torch.func.vmap` can map it: tensor
            operations only, no `if` on values and no boolean masks; otherwise it runs phi by phi.
        metric: what is wanted. It is measured on `val`.
        train: examples for the loss, or a pair (inputs, targets) of tensors or NumPy arrays.
        val: the search split: examples for the metric, or a pair.
        budget: how many metric calls and seconds may be spent.
        sampler: mini-batches drawn "plain" (uniformly) or class-"balanced" (each class equally often).
        batch_size: examples in a mini-batch.
        reach: `(d,)`, how far each coordinate of phi is explored; default: `default_reach`.
        on_observation: called with (phi, raw value) after every observation, in order.
        clock: what the budget's seconds are read from.
    """

    def __init__(
        self,
        adapted: AdaptedModel,
        *,
        loss: LossFunction,
        metric: Metric,
        train: Examples | tuple[Tensor, Tensor],
        val: Examples | tuple[Tensor, Tensor],
        budget: Budget,
        sampler: Sampler = "plain",
        batch_size: int = 512,
        reach: Tensor | None = None,
        on_observation: Callable[[Tensor, float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        one_of("sampler", sampler, SAMPLERS)
        if not callable(loss):
            raise ConfigError(f"loss must be a function (scores, targets) -> scalar, got {loss!r}; try get_loss(name)")
        if not isinstance(metric, Metric):
            raise ConfigError(
                f"metric must be a Metric, got {metric!r}; make one with get_metric(name), "
                "or as_metric(anything, higher_is_better=...)"
            )
        self.adapted = adapted.eval()
        self.loss = loss
        self.metric = metric
        self.train = _examples(train)
        self.val = _examples(val)
        self.sampler = sampler
        self.batch_size = at_least("batch_size", batch_size, 1)
        self.meter: Meter = budget.start(clock)
        self._clock = clock
        self._each = Each()
        self._on_observation = on_observation
        self._phis: list[Tensor] = []
        self._utilities: list[float] = []
        self._reach = reach
        if reach is not None:
            self.spec.check(reach)
            if not bool((reach.isfinite() & (reach > 0)).all()):
                raise ConfigError("every coordinate of reach must be positive and finite; phi / reach is searched")

    def again(self, *, budget: Budget, metric: Metric | None = None, loss: LossFunction | None = None) -> Problem:
        """The same model and data with a fresh budget, no observations, and perhaps another metric or loss.

        What depends on model and data alone (features, sensitivity) is computed once, here at the latest, and
        shared. The budget's clock starts after that, so every run on one model pays the same.
        """
        fixed = {name: getattr(self, name) for name in ("_train_features", "_val_features", "sensitivity")}
        twin = Problem(
            self.adapted,
            loss=self.loss if loss is None else loss,
            metric=self.metric if metric is None else metric,
            train=self.train,
            val=self.val,
            budget=budget,
            sampler=self.sampler,
            batch_size=self.batch_size,
            reach=self._reach,
            on_observation=self._on_observation,
            clock=self._clock,
        )
        vars(twin).update(fixed)
        return twin

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
        return self.batch_size * self.train.inputs[0].numel() <= _SMALL_BATCH

    # --- free: no metric call ---------------------------------------------------------------------

    def outputs(self, phis: Tensor) -> Tensor:
        """Scores on the search split at every phi: `(n, d)` to `(n, N, ...)`. Costs no metric call."""
        return self._population_outputs(phis, self._val_features)

    def draws(self, seed: int, steps: int) -> Tensor:
        """Mini-batch indices `(steps, batch_size)` into `train`; they depend on `seed` alone."""
        generator = named_generator(seed, "batches")
        shape = (at_least("steps", steps, 0), self.batch_size)
        if self.sampler == "plain":
            return torch.randint(len(self.train), shape, generator=generator)
        order, counts, offsets = self._classes
        classes = torch.arange(self.batch_size) % len(counts)
        picks = (torch.rand(shape, generator=generator) * counts[classes]).long()
        return order[offsets[classes] + picks]

    def loss_and_grad(self, phis: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient at every phi on its own mini-batch.

        Args:
            phis: `(n, d)`.
            indices: `(n, B)` into `train`.

        Returns:
            losses `(n,)` and gradients `(n, d)`. Each phi touches only its own examples, so one backward pass
            over the sum of the losses gives all gradients.
        """
        point = phis.detach().requires_grad_(True)
        features, targets = _rows(self._train_features, indices), _rows(self.train.targets, indices)
        outputs = self.adapted.outputs_each(point.to(self.adapted.phi), features)
        losses = self._each("loss", self.loss, outputs, targets)
        (grad,) = torch.autograd.grad(losses.sum(), point)
        return losses.detach(), grad

    @cached_property
    def sensitivity(self) -> Tensor:
        """How phi moves the scores: C = mean over examples of J^T J at phi = 0, `(d, d)`.

        J is the Jacobian of an example's scores. A step phi changes the scores by sqrt(phi^T C phi), root mean
        square over examples and summed over outputs. Computed on up to 2,048 training examples; free.
        """
        count = min(len(self.train), 2048)
        chosen = torch.randperm(len(self.train), generator=named_generator(0, "sensitivity"))[:count]
        features = self._train_features[chosen][:, None]
        total = torch.zeros(self.dim, self.dim)
        point = torch.zeros(count, self.dim, requires_grad=True)
        outputs = self.adapted.outputs_each(point.to(self.adapted.phi), features).reshape(count, -1)
        directions, weight = torch.eye(outputs.shape[1]), 1.0
        if len(directions) > _MOST_DIRECTIONS:  # random signs v: the mean of (J^T v)(J^T v)^T is J^T J
            signs = torch.randint(2, (_MOST_DIRECTIONS, outputs.shape[1]), generator=named_generator(0, "signs"))
            directions, weight = 2.0 * signs - 1, 1 / _MOST_DIRECTIONS
        for direction in directions.to(outputs):
            (rows,) = torch.autograd.grad((outputs @ direction).sum(), point, retain_graph=True)
            total += weight * (rows.T @ rows) / count
        return total

    @cached_property
    def reach(self) -> Tensor:
        """How far each coordinate of phi is explored, `(d,)`: phi = reach * z with z of order one."""
        return default_reach(self.spec, self.sensitivity) if self._reach is None else self._reach

    # --- metric calls -----------------------------------------------------------------------------

    def observe(self, phis: Tensor) -> Tensor:
        """Utilities `(n,)` of phis `(n, d)` on the search split, one metric call each.

        Every finished call is in `observations` at once, so nothing paid for is lost when a later one fails.

        Raises:
            BudgetExhausted: before the call that the budget does not cover.
            MetricError: the metric failed; that call is spent.
        """
        self.spec.check(phis)
        utilities = []
        for chunk in phis.split(8):
            outputs = None if self.metric.reads == "model" else self.outputs(chunk)
            for i, phi in enumerate(chunk):
                self.meter.spend(1)
                if outputs is None:
                    raw = self.metric.measure_model(self.adapted.merged(phi))
                else:
                    raw = self._ask(outputs[i])
                utilities.append(self._record(phi, raw))
        return torch.tensor(utilities, dtype=torch.float64)

    def measure(self, outputs: Tensor, phi: Tensor) -> float:
        """Utility of scores that a method made itself, for the phi that they belong to; one metric call.

        It saves the forward pass where a method knows the scores, as threshold tuning does.
        """
        self.meter.spend(1)
        return self._record(phi, self._ask(outputs))

    def paired_bootstrap(self, phi: Tensor, reference: Tensor, *, resamples: int, seed: int) -> Tensor:
        """How much the gain of `phi` over `reference` varies with the finite search split.

        Both are measured on the same resamples of the search split, drawn with replacement inside each class.

        Returns:
            utility differences `(r,)`, two metric calls each; r is smaller than `resamples` where the budget is,
            and 0 for a metric that reads the model: it does not let its examples be drawn.
        """
        if self.metric.reads == "model":
            return torch.zeros(0, dtype=torch.float64)
        outputs = self.outputs(torch.stack([phi, reference]))
        generator = named_generator(seed, "bootstrap")
        differences: list[float] = []
        while len(differences) < resamples and self.affordable(2) == 2:
            chosen = self._resample(generator)
            try:
                mine, other = (self._resampled(scores, chosen) for scores in outputs)
            except BudgetExhausted:  # the time ran out between the two
                break
            differences.append(mine - other)
        return torch.tensor(differences, dtype=torch.float64)

    def affordable(self, n: int) -> int:
        """How many of `n` metric calls the budget still covers."""
        return self.meter.affordable(n)

    @property
    def observations(self) -> tuple[Tensor, Tensor]:
        """All phis `(m, d)` and utilities `(m,)` so far, in order."""
        phis = torch.stack(self._phis) if self._phis else torch.zeros(0, self.dim)
        return phis, torch.tensor(self._utilities, dtype=torch.float64)

    # --- inside -----------------------------------------------------------------------------------

    def _resampled(self, scores: Tensor, chosen: Tensor) -> float:
        self.meter.spend(1)
        return self.metric.utility(self._ask(scores, chosen))

    def _ask(self, scores: Tensor, chosen: Tensor | None = None) -> float:
        """The metric always sees the CPU: what users write there often goes through NumPy."""
        scores, targets = scores.cpu(), self._val_targets
        return self.metric(scores, targets) if chosen is None else self.metric(scores[chosen], targets[chosen])

    @cached_property
    def _val_targets(self) -> Tensor:
        return self.val.targets.cpu()

    def _record(self, phi: Tensor, raw: float) -> float:
        utility = self.metric.utility(raw)
        self._phis.append(phi.detach().clone())
        self._utilities.append(utility)
        if self._on_observation is not None:
            self._on_observation(phi, raw)
        return utility

    @cached_property
    def _train_features(self) -> Tensor:
        return self._features(self.train.inputs)

    @cached_property
    def _val_features(self) -> Tensor:
        return self._features(self.val.inputs)

    def _features(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            sample: Any = self.adapted.head(inputs[:1])
            if not isinstance(sample, Tensor):
                raise ConfigError("the model must pass one tensor between its layers to be searched in populations")
            if sample.shape == inputs[:1].shape and sample.data_ptr() == inputs.data_ptr():
                return inputs  # nothing lies in front of the first adapted layer
            needed = sample.numel() * sample.element_size() * len(inputs)
            if needed > _KEEP_BYTES:
                raise ConfigError(
                    f"the features in front of the first adapted layer need {needed / 2**30:.1f} GiB, at most "
                    f"{_KEEP_BYTES / 2**30:.0f} GiB are kept; use fewer examples, or adapt a layer with a smaller output"
                )
            return torch.cat([self.adapted.head(block) for block in inputs.split(_BLOCK)])

    def _population_outputs(self, phis: Tensor, features: Tensor) -> Tensor:
        self.spec.check(phis)
        phis = phis.to(self.adapted.phi)
        rows = max(_BLOCK // max(min(len(phis), 8), 1), 1)
        with torch.no_grad():
            return torch.cat(
                [
                    torch.cat([self.adapted.outputs(chunk, block) for block in features.split(rows)], dim=1)
                    for chunk in phis.split(8)
                ]
            )

    def _resample(self, generator: torch.Generator) -> Tensor:
        """Indices of the search split drawn with replacement; within each class where there are few classes."""
        targets, count = self._val_targets, len(self.val)
        labels = targets.reshape(count, -1)
        if labels.shape[1] > 1 or (labels != labels.round()).any() or len(labels.unique()) > count // 10:
            return torch.randint(count, (count,), generator=generator)
        order, counts, offsets = _by_class(labels[:, 0])
        size, begin = counts.repeat_interleave(counts), offsets.repeat_interleave(counts)
        return order[begin + (torch.rand(count, generator=generator) * size).long()]

    @cached_property
    def _classes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Training indices ordered by class, the number of each class, and where each begins."""
        targets = self.train.targets
        if targets.dim() > 1 and targets.shape[-1] > 1:
            raise ConfigError(
                'sampler="balanced" needs one class per example; use sampler="plain" for multilabel targets'
            )
        return _by_class(targets.reshape(-1))


def _by_class(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices ordered by class, the number of each class, and where each begins."""
    labels = labels.cpu().long()
    counts = torch.unique(labels, return_counts=True)[1]
    return labels.argsort(stable=True), counts, counts.cumsum(0) - counts


def _rows(data: Tensor, indices: Tensor) -> Tensor:
    """`data[indices]`, several times faster: `index_select` copies whole rows."""
    return data.index_select(0, indices.reshape(-1).to(data.device)).reshape(*indices.shape, *data.shape[1:])


def _examples(data: Examples | tuple[Tensor, Tensor]) -> Examples:
    if isinstance(data, Examples):
        return data
    inputs, targets = (_tensor(part) for part in data)
    return Examples(inputs=inputs, targets=targets)


def _tensor(data: Any) -> Tensor:
    """A tensor as it is; a NumPy array as a tensor, double precision as single, which is what models have."""
    if isinstance(data, Tensor):
        return data
    tensor = torch.as_tensor(data)
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def default_reach(spec: PhiSpec, sensitivity: Tensor, *, shift: float = 1.0, other: float = 0.3) -> Tensor:
    """How far to explore: a reach of 1 changes the scores by a known amount, whatever the adapter's own units.

    Coordinates of an additive output shift get `shift` score units each. All other coordinates together move
    the scores by `other` (root mean square): they bend the decision of single examples, which a finite search
    split rewards by chance, so they get the smaller share.
    """
    positive("shift", shift)
    positive("other", other)
    moves = torch.diagonal(sensitivity).clamp_min(0).sqrt()
    typical = float(moves.square().mean().sqrt()) or 1.0
    is_shift = torch.zeros(spec.dim, dtype=torch.bool)
    for slot in spec.slots:
        if slot.name.endswith("output_shift.shift"):
            is_shift[spec.slice_of(slot.name)] = True
    others = float(moves[~is_shift].square().sum().sqrt()) or typical
    # A coordinate that hardly moves the scores is not blown up beyond what the others get.
    return torch.where(is_shift, shift / moves.clamp_min(0.1 * typical), torch.full_like(moves, other / others))
