"""Examples that are the same: they must not lie on both sides of a split."""

from __future__ import annotations

import torch
from torch import Tensor

#: Below this share of different rows equal ones are the nature of the data: answers of a survey, a few columns.
_LEAST_DIFFERENT = 0.5


def shared(rows: Tensor, others: Tensor) -> float:
    """Which share of `rows`, hashes of examples, is among `others`."""
    return float(torch.isin(rows, others).double().mean()) if len(rows) else 0.0


def leaked(rows: Tensor, others: Tensor) -> float:
    """Which share of `rows` must be the very rows of `others`: equal ones prove nothing where rows repeat anyway.

    >>> one, other = torch.arange(6), torch.tensor([0, 1, 2, 9, 10, 11])
    >>> leaked(one, other), leaked(torch.tensor([7, 7, 7, 7, 8]), torch.tensor([7, 8, 8])), leaked(one, one)
    (0.5, 0.0, 1.0)
    """
    if torch.equal(rows, others):
        return 1.0
    return 0.0 if len(rows.unique()) < _LEAST_DIFFERENT * len(rows) else shared(rows, others)
