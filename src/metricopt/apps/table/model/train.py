"""Train a table network: AdamW on weighted mini-batches, stopped by rows that are held out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...._adam import AdamW
from ...._checks import at_least, not_negative, one_of, positive
from ...._errors import ConfigError, DataError
from ...._random import derive_seed, generator
from ....runtime import one_thread

#: What the outputs are: scores of classes, or standardised numbers.
Aim: TypeAlias = Literal["classes", "numbers"]

#: A mini-batch of at most this many numbers is small: more threads then only wait for each other.
_SMALL_BATCH = 1 << 18


@final
@dataclass(frozen=True, kw_only=True)
class TableTraining:
    """The recipe.

    The learning rate falls to nothing along a cosine over `epochs`. Where rows are held out, training ends when their
    loss has not fallen for `patience` epochs, and the weights of the best epoch come back.

    Args:
        epochs: passes over the training rows, at most.
        batch_size: rows of a mini-batch; None takes about a thirtieth of the rows, between 16 and 256.
        learning_rate: the first and highest one.
        weight_decay: of AdamW.
        patience: epochs without a new best before training ends.
        last: the epoch to end with, in the middle of the schedule; None goes on to its end. It is how a network on all
            rows repeats what was found to be best with some of them held out.

    >>> TableTraining().rows_of_a_batch(5_000), TableTraining(batch_size=512).rows_of_a_batch(100)
    (128, 100)
    """

    epochs: int = 100
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    patience: int = 15
    last: int | None = None

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 1)
        if self.batch_size is not None:
            at_least("batch_size", self.batch_size, 2)
        positive("learning_rate", self.learning_rate)
        not_negative("weight_decay", self.weight_decay)
        at_least("patience", self.patience, 1)
        if self.last is not None:
            at_least("last", self.last, 1)

    def rows_of_a_batch(self, rows: int) -> int:
        """How many rows a mini-batch has where `rows` are trained on."""
        wanted = self.batch_size or min(max(1 << max(rows // 30, 1).bit_length() - 1, 16), 256)
        return min(wanted, rows)


@final
@dataclass(frozen=True, kw_only=True)
class TableRows:
    """Encoded rows.

    Args:
        inputs: `(N, F)`.
        targets: `(N,)`, class numbers or standardised numbers.
        weights: `(N,)`, how much each row counts; None for all the same.
    """

    inputs: Tensor = field(repr=False)
    targets: Tensor = field(repr=False)
    weights: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        lengths = {len(part) for part in (self.inputs, self.targets, self.weights) if part is not None}
        if len(lengths) != 1:
            raise DataError(f"inputs, targets and weights must be of one length, got {sorted(lengths)}")
        if self.weights is not None and not bool((self.weights.isfinite() & (self.weights >= 0)).all()):
            raise DataError("weights of rows must be finite and at least 0")

    def __len__(self) -> int:
        return len(self.inputs)


@final
@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training rows: mean losses, `held_out` None where nothing is held out."""

    number: int
    training: float
    held_out: float | None
    is_best: bool


def train_table_net(
    network: nn.Module,
    rows: TableRows,
    *,
    aim: Aim,
    held_out: TableRows | None = None,
    recipe: TableTraining | None = None,
    seed: int,
    watch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train `network` in place and leave it in evaluation mode.

    The loss is cross-entropy for classes and the squared error for numbers, `sum(w l) / sum(w)` over all rows. The
    same arguments give the same weights on one machine.

    Args:
        network: from (B, F) to (B, 1) or (B, K), on the device of the rows.
        rows: to learn from, at least two.
        aim: "classes": one output is the score of class 1 of two, K outputs are scores of K classes. "numbers": one
            output; give standardised targets.
        held_out: rows to stop by; without them all epochs are run.
        recipe: epochs, batch size, learning rate and so on.
        seed: of the mini-batches and of dropout; the global random state is not touched.
        watch: is told every epoch; an exception of it ends the training.

    Returns:
        the epochs that were run, in order.

    Raises:
        DataError: less than two rows, or weights that are all zero.
        ConfigError: the loss is not finite: the learning rate is too high.
    """
    one_of("aim", aim, ("classes", "numbers"))
    recipe = TableTraining() if recipe is None else recipe
    if len(rows) < 2 or (rows.weights is not None and not bool((rows.weights > 0).any())):
        raise DataError(f"training needs at least two rows that count, got n_samples = {len(rows)}")
    size = recipe.rows_of_a_batch(len(rows))
    small = not rows.inputs.is_cuda and size * rows.inputs.shape[1] <= _SMALL_BATCH
    with one_thread() if small else nullcontext(), _dropout_seeded(rows.inputs.device, seed):
        epochs = list(_epochs(network, rows, held_out, aim, recipe, size, seed, watch))
    network.eval()
    return epochs


def row_losses(outputs: Tensor, targets: Tensor, aim: Aim) -> Tensor:
    """The loss of every row, `(N,)`: cross-entropy of class numbers, or the squared error of numbers."""
    if aim == "classes" and outputs.shape[1] > 1:
        return F.cross_entropy(outputs, targets, reduction="none")
    single = outputs[:, 0]
    if aim == "classes":
        return F.binary_cross_entropy_with_logits(single, targets.to(single.dtype), reduction="none")
    return F.mse_loss(single, targets.to(single.dtype), reduction="none")


def _epochs(
    network: nn.Module,
    rows: TableRows,
    held_out: TableRows | None,
    aim: Aim,
    recipe: TableTraining,
    size: int,
    seed: int,
    watch: Callable[[Epoch], None] | None,
) -> Iterator[Epoch]:
    optimizer = AdamW(network.parameters(), recipe.learning_rate, decay=recipe.weight_decay)
    source = generator(seed, "table net", "batches")
    weights = None if rows.weights is None else rows.weights / rows.weights.mean()
    lowest, since, kept = float("inf"), 0, None
    for number in range(1, recipe.epochs + 1):
        training = _one_epoch(network, rows, weights, aim, optimizer, size, source)
        optimizer.rate *= _cooled(number, recipe.epochs) / _cooled(number - 1, recipe.epochs)
        holdout = None if held_out is None else _mean_loss(network, held_out, aim)
        is_best = holdout is None or holdout < lowest
        if holdout is not None and is_best:
            lowest, since, kept = holdout, 0, copy.deepcopy(network.state_dict())
        else:
            since += 1
        epoch = Epoch(number=number, training=training, held_out=holdout, is_best=is_best)
        if watch is not None:
            watch(epoch)
        yield epoch
        if number == recipe.last or (held_out is not None and since >= recipe.patience):
            break
    if kept is not None:
        network.load_state_dict(kept)


def _cooled(epoch: int, of: int) -> float:
    """Twice the share of the learning rate that is left after an epoch: it falls as a cosine."""
    return 1 + math.cos(math.pi * epoch / of)


def _one_epoch(
    network: nn.Module,
    rows: TableRows,
    weights: Tensor | None,
    aim: Aim,
    optimizer: AdamW,
    size: int,
    source: torch.Generator,
) -> float:
    """The mean loss of one pass. Rows that do not fill a mini-batch are left out; every pass is shuffled anew."""
    network.train()
    count = len(rows) // size
    order = torch.randperm(len(rows), generator=source)[: count * size].view(count, size).to(rows.inputs.device)
    total = torch.zeros((), device=rows.inputs.device)
    for chosen in order:
        losses = row_losses(network(rows.inputs[chosen]), rows.targets[chosen], aim)
        loss = (losses if weights is None else losses * weights[chosen]).mean()
        optimizer.step(torch.autograd.grad(loss, optimizer.points))
        total += loss.detach()
    mean = float(total) / count
    if not math.isfinite(mean):
        raise ConfigError(f"the training loss is {mean}; use a smaller learning_rate, or look for wild targets")
    return mean


def _mean_loss(network: nn.Module, rows: TableRows, aim: Aim) -> float:
    network.eval()
    with torch.no_grad():
        losses = torch.cat(
            [
                row_losses(network(inputs), targets, aim)
                for inputs, targets in zip(rows.inputs.split(8192), rows.targets.split(8192), strict=True)
            ]
        ).double()
    if rows.weights is None or not bool((rows.weights > 0).any()):
        return float(losses.mean())
    return float((losses * rows.weights).sum() / rows.weights.double().sum())


@contextmanager
def _dropout_seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Dropout takes no generator: the global state is set aside here and comes back as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(derive_seed(seed, "table net", "dropout"))
        if device.type == "cuda":
            torch.cuda.manual_seed(derive_seed(seed, "table net", "dropout"))
        yield
