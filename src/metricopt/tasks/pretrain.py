"""Train the network that is to be tuned: Adam on cross-entropy with plain or class-balanced mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of, positive
from .._errors import DataError
from .._random import derive_seed, generator
from ..losses import cross_entropy


#: How mini-batches are drawn: as the rows come, or half of each class.
SAMPLERS = ("plain", "balanced")


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """The recipe. The paper gives no rate, no number of epochs and no schedule.

    The learning rate goes up for a tenth of the steps and then down to nothing along a cosine, so the number of
    epochs is fixed beforehand and the validation rows stay unseen: they are for the search.
    """

    sampler: str = "balanced"
    epochs: int = 12
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        one_of("sampler", self.sampler, SAMPLERS)
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        positive("learning_rate", self.learning_rate)


def pretrain(model: nn.Module, x: Tensor, y: Tensor, *, recipe: Pretraining, seed: int) -> nn.Module:
    """Train `model` in place on all rows and return it in evaluation mode.

    Args:
        model: from (B, F) to (B, 1), on the device of `x`.
        x: features (N, F).
        y: targets (N,) in {0, 1}.
        recipe: batch size, epochs, learning rate, sampler.
        seed: of the mini-batches and of dropout.

    Raises:
        DataError: the balanced sampler needs both classes and one has no row.
    """
    if x.shape[0] < 2:
        raise DataError(f"pre-training needs at least 2 rows, got {x.shape[0]}")
    steps = recipe.epochs * max(1, x.shape[0] // recipe.batch_size)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.learning_rate, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    batches = _batches(y, recipe, generator(seed, "pretrain", "batches"))
    model.train()
    # Dropout knows no generator argument. The global state is set aside and comes back as it was.
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(derive_seed(seed, "pretrain", "dropout"))
        for indices in batches:
            loss = cross_entropy(model(x[indices]), y[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def _batches(y: Tensor, recipe: Pretraining, source: torch.Generator) -> Iterator[Tensor]:
    """The row numbers of every mini-batch, on the device of `y`; every epoch is shuffled anew, its rest is left out."""
    if recipe.sampler == "plain":
        draw = _plain
    else:
        draw = _balanced
        for label in (0, 1):
            if not bool((y == label).any()):
                raise DataError(f"the balanced sampler needs rows of both classes, class {label} has none")
    for _ in range(recipe.epochs):
        yield from draw(y, recipe.batch_size, source)


def _plain(y: Tensor, batch_size: int, source: torch.Generator) -> tuple[Tensor, ...]:
    size = min(batch_size, len(y))
    count = len(y) // size
    order = torch.randperm(len(y), generator=source)[: count * size].to(y.device)
    return order.split(size)


def _balanced(y: Tensor, batch_size: int, source: torch.Generator) -> tuple[Tensor, ...]:
    """Half of each class: the larger one without replacement within an epoch, the smaller one with."""
    size = min(batch_size, len(y))
    count, half = len(y) // size, size // 2
    rarer, commoner = sorted(((y == label).nonzero().flatten() for label in (0, 1)), key=len)
    needed = count * half
    picked = torch.randint(len(rarer), (needed,), generator=source).to(y.device)
    order = torch.randperm(len(commoner), generator=source)[:needed].to(y.device)
    pairs = torch.cat([rarer[picked].view(count, half), commoner[order].view(count, half)], dim=1)
    return pairs.unbind(0)
