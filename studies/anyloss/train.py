"""Train a population in lock-step: all folds and learning rates of one loss, each as if it were alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from metricopt._checks import at_least, positive
from metricopt._errors import ConfigError, MetricOptError
from metricopt._random import generator

from .folds import Folds
from .losses import SharedLoss
from .networks import Perceptron

#: Adam's, as everywhere.
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True, kw_only=True)
class Training:
    """How every network is trained, whatever its loss.

    Args:
        rates: learning rates of Adam; each fold keeps the one with the smallest loss on its validation part.
        steps: of each network, at most.
        check_every: steps between two looks at the validation part. The weights of the best look are kept.
        patience: looks without a better one after which a network is done; the training ends when all are.
        batch_share, least_batch: rows of a batch, a share of the training part but not fewer than `least_batch`.
    """

    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    steps: int = 4000
    check_every: int = 40
    patience: int = 25
    batch_share: float = 0.05
    least_batch: int = 32

    def __post_init__(self) -> None:
        if not self.rates:
            raise ConfigError("rates must hold one or more learning rates, got none")
        for rate in self.rates:
            positive("rates", rate)
        for name in ("steps", "check_every", "patience", "least_batch"):
            at_least(name, getattr(self, name), 1)
        if not 0 < self.batch_share <= 1:
            raise ConfigError(f"batch_share must lie in (0, 1], got {self.batch_share!r}")
        if self.steps < self.check_every:
            raise ConfigError(f"steps must reach check_every, {self.check_every}; got {self.steps}")

    def batch(self, rows: int) -> int:
        """Rows of a batch from a training part of `rows`."""
        return min(rows, max(self.least_batch, math.ceil(self.batch_share * rows)))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The chosen network of each fold.

    Args:
        weights: (K, D, 1).
        rates: (K,) positions of the chosen learning rates.
        kept: (K,) the step at which its weights were taken.
        steps: how many the whole population took.
    """

    weights: Tensor
    rates: Tensor
    kept: Tensor
    steps: int


def train(network: Perceptron, loss: SharedLoss, folds: Folds, how: Training, *, seed: int) -> Trained:
    """Adam on mini-batches that every loss sees in the same order, from the same fresh weights."""
    rows = torch.arange(len(folds.train))[:, None]
    weights = network.start(folds.x.shape[2], folds=len(folds.train), rates=len(how.rates), seed=seed)
    optimiser = _Adam(weights, how.rates)
    best = _Best(weights, how.patience)
    shares = folds.shares
    val_x, val_y = folds.x[rows, folds.val], folds.y[folds.val]
    taken = 0
    for batch in batches(folds.train, how, seed=seed):
        taken += 1
        weights.requires_grad_()
        total = population_loss(loss, network.scores(weights, folds.x[rows, batch]), folds.y[batch], shares).sum()
        (gradient,) = torch.autograd.grad(total, weights)
        weights = optimiser.step(weights.detach(), gradient)
        if taken % how.check_every == 0 or taken == how.steps:
            with torch.no_grad():
                best.see(weights, population_loss(loss, network.scores(weights, val_x), val_y, shares), taken)
            if best.done:
                break
    return best.chosen(steps=taken)


def population_loss(loss: SharedLoss, scores: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
    """The loss of every network, (K, L).

    Args:
        scores: (K, B, L).
        labels: (K, B).
        shares: (K,) of positives in the training parts.
    """
    folds, rows, rates = scores.shape
    each = scores.transpose(1, 2).reshape(folds * rates, rows)
    repeated = labels[:, None].expand(folds, rates, rows).reshape(folds * rates, rows)
    found = vmap(loss)(each, repeated, shares.repeat_interleave(rates))
    return found.view(folds, rates)


def batches(train: Tensor, how: Training, *, seed: int) -> Iterator[Tensor]:
    """`how.steps` batches of row numbers (K, B): a new order in every epoch, what does not fill a batch is left out."""
    folds, rows = train.shape
    size = how.batch(rows)
    source = generator(seed, "study batches")
    sent = 0
    while True:
        order = torch.rand(folds, rows, generator=source).argsort(dim=1)
        mixed = train.gather(1, order)
        for begin in range(0, rows - size + 1, size):
            if sent == how.steps:
                return
            sent += 1
            yield mixed[:, begin : begin + size]


class _Adam:
    """Adam with a learning rate for each column."""

    def __init__(self, weights: Tensor, rates: tuple[float, ...]) -> None:
        self._rates = torch.tensor(rates)
        self._mean, self._square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = 0

    def step(self, weights: Tensor, gradient: Tensor) -> Tensor:
        self._steps += 1
        self._mean.lerp_(gradient, 1 - MEAN_DECAY)
        self._square.mul_(SQUARE_DECAY).addcmul_(gradient, gradient, value=1 - SQUARE_DECAY)
        root = (self._square / (1 - SQUARE_DECAY**self._steps)).sqrt_().add_(EPSILON)
        return weights - self._mean / root * (self._rates / (1 - MEAN_DECAY**self._steps))


class _Best:
    """The weights with the smallest validation loss so far, network by network."""

    def __init__(self, weights: Tensor, patience: int) -> None:
        folds, _, rates = weights.shape
        self._patience = patience
        self._weights = weights.clone()
        self._values = torch.full((folds, rates), math.inf)
        self._kept = torch.zeros(folds, rates, dtype=torch.long)
        self._looks_since = torch.zeros(folds, rates, dtype=torch.long)

    def see(self, weights: Tensor, values: Tensor, step: int) -> None:
        # A network that is done gets no further look, as if it had stopped alone; NaN is never better.
        better = (values < self._values) & (self._looks_since < self._patience)
        self._weights = torch.where(better[:, None], weights, self._weights)
        self._values = torch.where(better, values, self._values)
        self._kept = torch.where(better, step, self._kept)
        self._looks_since = torch.where(better, 0, self._looks_since + 1)

    @property
    def done(self) -> bool:
        return bool((self._looks_since >= self._patience).all())

    def chosen(self, *, steps: int) -> Trained:
        """The best rate of each fold; raises MetricOptError where none was finite."""
        if not bool(self._values.amin(dim=1).isfinite().all()):
            raise MetricOptError("no look of a fold gave a finite validation loss; choose smaller learning rates")
        rates = self._values.argmin(dim=1)
        folds = torch.arange(len(rates))
        return Trained(
            weights=self._weights[folds, :, rates][:, :, None],
            rates=rates,
            kept=self._kept[folds, rates],
            steps=steps,
        )
