"""What a gradient source asks of a value function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Value(Protocol):
    """Estimated utilities of phis; differentiable in phis for the sources that take its exact gradient."""

    def __call__(self, phis: Tensor) -> Tensor:
        """`(m, d)` to `(m,)`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A value function of phi, seen by a search over z = phi / phi_scale, in units of `scale`.

    Guided ES and step sizes then mean the same for every adapter and every metric.
    """

    value: Value
    phi_scale: Tensor
    scale: float = 1.0

    def __call__(self, phis: Tensor) -> Tensor:
        return self.value(phis * self.phi_scale) / self.scale


def cost_gradient(value: Value, phis: Tensor) -> Tensor:
    """Exact gradient of the cost 1 - utility at each phi, `(n, d)` to `(n, d)`."""
    point = phis.detach().requires_grad_(True)
    with torch.enable_grad():
        (grad,) = torch.autograd.grad(value(point).sum(), point)
    return -grad
