"""Validation data in two: a part that the search sees, and a part that decides whether its result is accepted."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import fraction
from .._errors import ConfigError
from .._random import generator
from ..problem import Examples
from .same_rows import row_hashes

#: Fewer examples than this decide nothing.
SMALLEST_PART = 10


def search_and_acceptance(examples: Examples, *, share: float) -> tuple[Examples, Examples]:
    """Split at random, class by class where targets are few classes.

    The split depends on the examples alone, never on a seed: whoever learned a value function on the search part of
    these examples has not seen the part that the next model is tested on.

    Args:
        examples: the validation data.
        share: of the acceptance part, in (0, 1).

    >>> whole = Examples(inputs=torch.arange(100.0)[:, None], targets=torch.arange(100) % 2)
    >>> [int(part.targets.sum()) for part in search_and_acceptance(whole, share=0.4)]
    [30, 20]
    """
    if not 0.0 < fraction("acceptance", share) < 1.0:
        raise ConfigError(f"acceptance must lie between 0 and 1, both excluded, got {share}; 0.4 is the default")
    if len(examples) < 2 * SMALLEST_PART:
        raise ConfigError(
            f"val holds {len(examples)} examples, too few to split into a part for the search and a part for the "
            f"acceptance test; give at least {2 * SMALLEST_PART}, acceptance=(inputs, targets), or acceptance=None"
        )
    taken = _stratified(examples, share)
    tested = int(taken.sum())
    if min(tested, len(examples) - tested) < min(SMALLEST_PART, len(examples) * min(share, 1 - share) / 2):
        raise ConfigError(
            f"val holds too few different examples: equal ones stay together, which leaves {len(examples) - tested} to "
            f"search on and {tested} for the acceptance test; give more, or acceptance=(inputs, targets)"
        )
    return _part(examples, ~taken), _part(examples, taken)


def _stratified(examples: Examples, share: float) -> Tensor:
    """`(N,)` booleans: who belongs to the acceptance part. Within each class the share is met to half an example.

    Equal examples go where the first of them goes: no example is on both sides.
    """
    targets, rows = examples.targets, row_hashes(examples)
    groups, of_row = torch.unique(rows, return_inverse=True)
    first = torch.full((len(groups),), len(rows)).scatter_reduce(0, of_row, torch.arange(len(rows)), "amin")
    taken = _every_so_many(targets[first.to(targets.device)], first, share)
    return taken[of_row]


def _every_so_many(targets: Tensor, first: Tensor, share: float) -> Tensor:
    """`(G,)` booleans for G different examples with these targets; `first` is where each one stands."""
    count = len(targets)
    order = first.argsort()[torch.randperm(count, generator=generator("acceptance"))]
    labels = few_classes(targets)
    if labels is not None:
        order = order[labels[order].argsort(stable=True)]
    # Walking through the classes one after the other, every 1 / share-th example is taken.
    steps = torch.floor((torch.arange(count + 1, dtype=torch.float64) * share) + 0.5)
    taken = torch.zeros(count, dtype=torch.bool)
    taken[order[steps[1:] > steps[:-1]]] = True
    return taken


def few_classes(targets: Tensor) -> Tensor | None:
    """Labels `(N,)` on the CPU where targets are one class of few; None for multilabel, instances and real numbers."""
    labels = targets.detach().cpu().reshape(len(targets), -1)
    if labels.shape[1] != 1 or bool((labels != labels.round()).any()):
        return None
    labels = labels[:, 0].long()
    return labels if len(labels.unique()) <= max(len(labels) // 10, 2) else None


def _part(examples: Examples, chosen: Tensor) -> Examples:
    where = chosen.nonzero()[:, 0].to(examples.inputs.device)
    return Examples(inputs=examples.inputs[where], targets=examples.targets[where.to(examples.targets.device)])
