"""Rows that are kept from training, to stop by and to measure on."""

from __future__ import annotations

import torch
from torch import Tensor

from ...._checks import at_least
from ...._errors import ConfigError
from ...._random import generator


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
    if classes is not None and classes.shape != (rows,):
        raise ConfigError(f"classes must hold one class per row, ({rows},); got {tuple(classes.shape)}")
    order = torch.randperm(rows, generator=generator(seed, "holdout"))
    groups = [order]
    if classes is not None:
        shuffled = classes.cpu()[order]
        groups = [order[shuffled == label] for label in torch.unique(shuffled)]
    # The small term keeps 0.1 * 30 from being 2; the last row of a group stays in training.
    cuts = [min(int(len(group) * fraction + 1e-9), len(group) - 1) for group in groups]
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
