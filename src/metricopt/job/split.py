"""Validation data in two: a part that the search sees, and a part that decides whether its result is accepted."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from .._checks import fraction
from .._errors import ConfigError
from .._random import generator
from ..workload import Examples, Stream, few_classes
from ..workload.nests import take

#: In memory, or read when they are needed.
AnyRows = TypeVar("AnyRows", bound=Examples | Stream)

#: Fewer examples than this decide nothing.
SMALLEST_PART = 10


def search_and_acceptance(examples: AnyRows, *, share: float) -> tuple[AnyRows, AnyRows]:
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
    search, acceptance = (cast(AnyRows, examples.take(part.nonzero()[:, 0])) for part in (~taken, taken))
    return search, acceptance


def _stratified(examples: Examples | Stream, share: float) -> Tensor:
    """`(N,)` booleans: who belongs to the acceptance part. Within each class the share is met to half an example.

    Equal examples go where the first of them goes: no example is on both sides.
    """
    targets = examples.targets
    # Rows of one group stay together; where there are none, equal rows do.
    rows = examples.hashes if examples.groups is None else examples.groups.cpu()
    groups, of_row = torch.unique(rows, return_inverse=True)
    first = torch.full((len(groups),), len(rows)).scatter_reduce(0, of_row, torch.arange(len(rows)), "amin")
    taken = _every_so_many(take(targets, first), first, share)
    return taken[of_row]


def _every_so_many(targets: Any, first: Tensor, share: float) -> Tensor:
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
