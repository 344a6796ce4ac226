"""The plug-in: one line between `loss.backward()` and `optimizer.step()`."""

from __future__ import annotations

import torch
from torch import nn

from .._errors import ConfigError
from .source import GradientSource, SearchState


class Guide:
    """Steer any optimiser by the metric.

    >>> from torch import nn
    >>> from metricopt.search import GuidedES
    >>> phi = nn.Parameter(torch.zeros(8))
    >>> guide = Guide(GuidedES(value=lambda phis: -phis.square().sum(1)), generator=torch.Generator().manual_seed(0))
    >>> optimizer = torch.optim.SGD([phi], lr=0.1)
    >>> loss = (phi - 1).square().sum()
    >>> loss.backward()
    >>> guide.steer(phi)            # phi.grad now descends the metric's estimate
    >>> optimizer.step()

    Args:
        source: how a direction is found, for example `GuidedES(value=value.frozen())`.
        generator: for the perturbations.
    """

    def __init__(self, source: GradientSource, *, generator: torch.Generator) -> None:
        self.source = source
        self.generator = generator
        self.state: SearchState | None = None

    def steer(self, phi: nn.Parameter) -> None:
        """Replace `phi.grad`, the loss gradient, by the direction of the source.

        `phi` is `(d,)`, or `(n, d)` for a population.
        """
        grads, phis = phi.grad, phi.detach()
        if grads is None:
            raise ConfigError("phi has no gradient to steer by; call loss.backward() before guide.steer(phi)")
        if phis.dim() == 1:
            phis, grads = phis.unsqueeze(0), grads.unsqueeze(0)
        if self.state is None:
            self.state = self.source.init(*phis.shape)
        direction, self.state = self.source.direction(self.state, phis, grads, generator=self.generator)
        # Into the gradient that is there: optimisers and gradient buckets may hold it.
        grads.copy_(direction)
