"""Adam on one tensor, in torch's own arithmetic: `torch.optim` takes seconds to import, and half a search to set up."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_FIRST, _SECOND, _EPS = 0.9, 0.999, 1e-8


class Adam:
    """Steps downhill, bit for bit those of `torch.optim.Adam` on a CPU.

    >>> point, adam = torch.tensor([3.0]), Adam(0.1)
    >>> for _ in range(200):
    ...     adam.step(point, 2 * point)
    >>> abs(float(point)) < 0.01
    True
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    @torch.no_grad()
    def step(self, point: Tensor, slope: Tensor) -> None:
        """Move `point` in place against `slope`."""
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(point), torch.zeros_like(point)
        self._steps += 1
        self._mean.lerp_(slope, 1 - _FIRST)
        self._square.mul_(_SECOND).addcmul_(slope, slope, value=1 - _SECOND)
        width = (self._square.sqrt() / math.sqrt(1 - _SECOND**self._steps)).add_(_EPS)
        point.addcdiv_(self._mean, width, value=-self._rate / (1 - _FIRST**self._steps))
