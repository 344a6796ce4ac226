"""Rows in parts by chance, class by class where there are classes: a part held out, folds, or three parts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import at_least
from ._errors import ConfigError
from ._random import generator


def holdout(rows: int, *, fraction: float, seed: int, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Row numbers to train on and row numbers to hold out, both ascending.

    Args:
        rows: how many rows there are.
        fraction: the share to hold out, in (0, 1).
        seed: the cut depends on it and on the sizes alone.
        classes: class numbers `(rows,)`: then about this share of every class, and the last row of none.

    Returns:
        two int64 tensors, together all rows; the second may be empty where there are few rows.

    >>> [part.tolist() for part in holdout(6, fraction=0.34, seed=0, classes=torch.tensor([0, 0, 0, 1, 1, 1]))]
    [[0, 2, 3, 5], [1, 4]]
    """
    at_least("rows", rows, 1)
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"the fraction to hold out must lie between 0 and 1, got {fraction!r}")
    groups = _shuffled(rows, classes, generator(seed, "holdout"))
    # The last row of a group stays in training.
    cuts = [min(_so_many(group, fraction), len(group) - 1) for group in groups]
    held = torch.cat([group[:cut] for group, cut in zip(groups, cuts, strict=True)])
    kept = torch.cat([group[cut:] for group, cut in zip(groups, cuts, strict=True)])
    return kept.sort().values, held.sort().values


def folds(rows: int, *, count: int, seed: int, classes: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
    """`count` times row numbers to train on and row numbers to hold out; every row is held out once.

    Args:
        rows: how many rows there are, at least `count`.
        count: of the folds, at least two.
        seed: the folds depend on it and on the sizes alone.
        classes: class numbers `(rows,)`: then every class is spread over the folds as evenly as it can be.

    >>> [held.tolist() for _, held in folds(5, count=2, seed=0, classes=torch.tensor([0, 1, 0, 1, 0]))]
    [[0, 1, 4], [2, 3]]
    """
    at_least("count of folds", count, 2)
    at_least("rows", rows, count)
    order = torch.randperm(rows, generator=generator(seed, "folds"))
    if classes is not None:
        order = order[classes.cpu()[order].argsort(stable=True)]
    fold = torch.empty(rows, dtype=torch.long)
    # Dealt out like cards: each class goes on where the one before it ended.
    fold[order] = torch.arange(rows) % count
    return [((fold != i).nonzero()[:, 0], (fold == i).nonzero()[:, 0]) for i in range(count)]


class Parts(NamedTuple):
    """Row numbers of three parts; disjoint, together all rows."""

    train: Tensor
    val: Tensor
    test: Tensor


def split(rows: int, *, seed: int, val: float = 0.1, test: float = 0.2, classes: Tensor | None = None) -> Parts:
    """Three parts: `val` and `test` have these shares, rounded down, the rest is for training.

    Args:
        rows: how many rows there are.
        seed: the cut depends on it and on the sizes alone.
        classes: `(rows,)`, to cut every class by itself.

    Raises:
        ConfigError: the shares leave a part without rows.

    >>> [len(part) for part in split(48_842, seed=0)]
    [34190, 4884, 9768]
    """
    at_least("rows", rows, 3)
    if not (val > 0 and test > 0 and val + test < 1):
        raise ConfigError(f"val and test must be positive and below 1 together, got {val} and {test}")
    cuts = []
    for group in _shuffled(rows, classes, generator(seed, "split")):
        sizes = [_so_many(group, val), _so_many(group, test)]
        cuts.append(group.split([len(group) - sum(sizes), *sizes]))
    parts = Parts(*(torch.cat(same) for same in zip(*cuts, strict=True)))
    if any(len(part) == 0 for part in parts):
        sizes = [len(part) for part in parts]
        raise ConfigError(f"{rows} rows are too few for shares {val} and {test}: train, val, test would be {sizes}")
    return parts


def _shuffled(rows: int, classes: Tensor | None, source: torch.Generator) -> list[Tensor]:
    """All row numbers in random order; with classes one group for each."""
    if classes is not None and classes.shape != (rows,):
        raise ConfigError(f"classes must hold one class per row, ({rows},); got {tuple(classes.shape)}")
    order = torch.randperm(rows, generator=source)
    if classes is None:
        return [order]
    shuffled = classes.cpu()[order]
    return [order[shuffled == label] for label in torch.unique(shuffled)]


def _so_many(group: Tensor, share: float) -> int:
    """The small term keeps 0.1 * 30 from being 2."""
    return int(len(group) * share + 1e-9)
