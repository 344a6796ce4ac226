"""Pre-training of a task's network, and its place on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of, positive
from .._errors import ConfigError, DataError
from .._random import derive_seed, generator
from .._types import SAMPLERS
from ..losses import cross_entropy
from ..runtime import write_tensors
from .disk_cache import Settings, cache_path, read_entry


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """The recipe. The paper gives the batches and the network, but no rate, epochs, schedule or dropout.

    The number of epochs is fixed and the learning rate goes up for a tenth of the steps and then down to nothing
    along a cosine. So the validation rows stay holdout: they are for the search.

    >>> Pretraining(epochs=3).batch_size
    512
    """

    epochs: int = 12
    batch_size: int = 512
    learning_rate: float = 1e-3
    dropout: float = 0.1

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        positive("learning_rate", self.learning_rate)
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout must lie in [0, 1), got {self.dropout!r}")


def pretrain(model: nn.Module, x: Tensor, y: Tensor, *, recipe: Pretraining, sampler: str, seed: int) -> nn.Module:
    """Train `model` in place on all rows and return it in evaluation mode.

    The result depends on the arguments and, in the last bits, on the number of threads.

    Args:
        model: from (B, F) to (B, 1), on the device of `x`; its dropout layers stay as they are.
        x: features (N, F).
        y: targets (N,) in {0, 1}.
        recipe: batch size, epochs, learning rate.
        sampler: "plain" batches, or "balanced" ones with half of each class, as in the paper.
        seed: of the mini-batches and of dropout.

    Raises:
        ConfigError: there is no such sampler.
        DataError: there are too few rows, or the balanced sampler finds a class without rows.
    """
    one_of("sampler", sampler, SAMPLERS)
    if len(x) < 4:
        raise DataError(f"pre-training needs at least 4 rows, got {len(x)}; give more data")
    steps = recipe.epochs * max(1, len(x) // recipe.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.learning_rate, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    batches = _batches(y, recipe, sampler, generator(seed, "pretrain", "batches"))
    model.train()
    # Dropout takes no generator. The global state is set aside here and comes back as it was.
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.default_generator.manual_seed(derive_seed(seed, "pretrain", "dropout"))
        if x.is_cuda:
            torch.cuda.manual_seed(derive_seed(seed, "pretrain", "dropout"))
        for indices in batches:
            loss = cross_entropy(model(x[indices]), y[indices])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def _batches(y: Tensor, recipe: Pretraining, sampler: str, source: torch.Generator) -> Iterator[Tensor]:
    """The row numbers of every mini-batch, on the device of `y`. Every epoch is shuffled anew, its rest is left out."""
    size = min(recipe.batch_size, len(y))
    if sampler == "plain":
        for _ in range(recipe.epochs):
            yield from _plain_epoch(len(y), size, source).to(y.device)
        return
    rarer, commoner = sorted(((y == label).nonzero().flatten() for label in (0, 1)), key=len)
    if len(rarer) == 0:
        raise DataError("the balanced sampler needs rows of both classes, one of them has none; use sampler='plain'")
    for _ in range(recipe.epochs):
        yield from _balanced_epoch(rarer, commoner, size, source)


def _plain_epoch(rows: int, size: int, source: torch.Generator) -> Tensor:
    """`(rows // size, size)` row numbers, none of them twice."""
    count = rows // size
    return torch.randperm(rows, generator=source)[: count * size].view(count, size)


def _balanced_epoch(rarer: Tensor, commoner: Tensor, size: int, source: torch.Generator) -> Tensor:
    """As many batches as a plain epoch has, half of each class: the rarer one with replacement, the other without."""
    count, half = (len(rarer) + len(commoner)) // size, size // 2
    picked = torch.randint(len(rarer), (count, half), generator=source)
    order = torch.randperm(len(commoner), generator=source)[: count * half].view(count, half)
    return torch.cat([rarer[picked.to(rarer.device)], commoner[order.to(commoner.device)]], dim=1)


#: Part of every key: raise it when pre-training, the network or the split change what comes out.
PRETRAINING_VERSION = 1

_KIND = "pre-trained network"


def load_or_train(
    template: nn.Sequential, *, settings: Settings, train: Callable[[nn.Sequential], None], cache: bool = True
) -> nn.Sequential:
    """`template` with the trained weights of these settings, in evaluation mode.

    Args:
        template: a new network; its values are overwritten.
        settings: all that the trained weights depend on. They are the key, and are kept in the file.
        train: trains its argument in place. It is called only where the cache has no entry.
        cache: False neither reads nor writes the cache.

    Raises:
        CheckpointError: the file of these settings is damaged or does not fit `template`.
    """
    path = cache_path("pretrained", settings)
    if cache and path.is_file():
        state = template.state_dict()
        tensors, _ = read_entry(path, kind=_KIND, version=PRETRAINING_VERSION, template=state)
        template.load_state_dict(tensors)
    else:
        train(template)
        if cache:
            write_tensors(path, template.state_dict(), kind=_KIND, version=PRETRAINING_VERSION, settings=settings)
    return template.eval()
