"""Batches and perfect scores for every kind of targets: what the contract of losses is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from metricopt._random import generator
from metricopt.losses import LOSSES, get_loss

Loss = Callable[[Tensor, Tensor], Tensor]
Batch = tuple[Tensor, Tensor]

ROWS, CLASSES, FEATURES = 9, 3, 4


def make(name: str, *, training: bool = True) -> Loss:
    """The loss `name` with what its card says it needs."""
    loss = get_loss(name, **LOSSES[name].card.needs)
    return loss.train(training) if isinstance(loss, torch.nn.Module) else loss


def shape_of(name: str, kind: str, rows: int = ROWS) -> tuple[int, ...]:
    if LOSSES[name].card.reads == "embeddings":
        return (rows, FEATURES)
    return (rows,) if kind in ("binary", "ranking", "values") else (rows, CLASSES)


def example(name: str, kind: str, seed: int, dtype: torch.dtype = torch.float64) -> Batch:
    """Random scores or embeddings with random targets.

    A list of 9 for "ranking", 3 labels of 3 for "retrieval", 0 and 10 for "values".
    """
    random = generator(seed, "loss contract", kind)
    shape = shape_of(name, kind)
    scores = 2 * torch.randn(shape, generator=random, dtype=dtype)
    if kind == "retrieval":
        return scores, (torch.arange(ROWS) % 3)[torch.randperm(ROWS, generator=random)]
    if kind in ("multiclass", "ranking"):
        targets = torch.randint(CLASSES, (ROWS,), generator=random)
        targets[:CLASSES] = torch.arange(CLASSES)
        return scores, targets[torch.randperm(ROWS, generator=random)]
    targets = torch.randint(2, shape if kind == "multilabel" else (ROWS,), generator=random)
    targets[0], targets[1] = 0, 1
    return scores, targets * 10 if kind == "values" else targets


def right_scores(kind: str, targets: Tensor, like: Tensor) -> Tensor:
    """Scores that are as right as scores can be."""
    if kind == "values":
        return targets.to(like)
    truth = torch.nn.functional.one_hot(targets, CLASSES) if kind == "multiclass" else targets
    top = 2 if kind == "ranking" else 1
    return (truth * 20.0 / top - 10.0).to(like)


def right_entries(kind: str, targets: Tensor) -> list[int]:
    """Flat positions in the scores of positives, or of the target classes; for "ranking" of the most relevant."""
    if kind == "multiclass":
        return [row * CLASSES + int(label) for row, label in enumerate(targets)]
    return torch.nonzero(targets.reshape(-1) == targets.max()).flatten().tolist()


def legal_batches(name: str, kind: str) -> Iterator[Batch]:
    """The batches on which losses divide by zero: one class, all equal, one example, extreme scores, and all mixed."""
    for rows in (1, 2, 5):
        shape = shape_of(name, kind, rows)
        for targets in _targets(kind, rows):
            for scale in (0.0, 1.0, 200.0, 1e6):
                yield torch.full(shape, scale), targets
                yield torch.full(shape, -scale), targets
                ramp = torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)
                yield scale * ramp, targets
                yield -scale * ramp, targets


def _targets(kind: str, rows: int) -> Iterator[Tensor]:
    wide = (rows, CLASSES) if kind == "multilabel" else (rows,)
    for label in (0, 1):
        yield torch.full(wide, label)
    if kind == "multilabel":
        yield torch.eye(rows, CLASSES).long()
    elif kind == "binary":
        yield (torch.arange(rows) == rows - 1).long()
    elif kind == "retrieval":
        yield torch.arange(rows)
        yield torch.arange(rows) % 2
    else:
        yield torch.full(wide, CLASSES - 1)
        yield torch.arange(rows) % CLASSES
