"""What a value function says of phis, and how many calls "all that are left" is."""

from __future__ import annotations

import torch
from torch import Tensor

from ...value import ValueFunction

#: More calls than anyone has: what is affordable of it is what is left.
ALL_CALLS = 1 << 40


@torch.no_grad()
def estimates(value: ValueFunction, phis: Tensor) -> Tensor:
    """Estimated utilities of phis `(..., d)`, without a graph."""
    estimated: Tensor = value(phis)[0]
    return estimated
