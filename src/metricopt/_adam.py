"""Adam in torch's own arithmetic, without its optimisers: the first one imports torch's compiler, a second or two."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

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


class AdamW:
    """Steps downhill on many tensors, bit for bit those of `torch.optim.AdamW`; `rate` may be changed on the way.

    >>> point = torch.tensor([3.0], requires_grad=True)
    >>> adam = AdamW([point], 0.1, decay=0.0)
    >>> for _ in range(200):
    ...     adam.step(torch.autograd.grad(point.square().sum(), [point]))
    >>> bool(point.abs() < 0.01)
    True
    """

    def __init__(self, points: Iterable[Tensor], rate: float, *, decay: float) -> None:
        self.points, self.rate, self.decay = list(points), rate, decay
        self._means = [torch.zeros_like(point) for point in self.points]
        self._squares = [torch.zeros_like(point) for point in self.points]
        self._steps = [torch.zeros((), device=point.device) for point in self.points]
        self._fused = all(point.device.type in ("cpu", "cuda") for point in self.points)

    @torch.no_grad()
    def step(self, slopes: Sequence[Tensor]) -> None:
        """Move the points in place against their slopes."""
        adamw(
            self.points,
            list(slopes),
            self._means,
            self._squares,
            [],
            self._steps,
            fused=self._fused,
            amsgrad=False,
            beta1=_FIRST,
            beta2=_SECOND,
            lr=self.rate,
            weight_decay=self.decay,
            eps=_EPS,
            maximize=False,
        )
