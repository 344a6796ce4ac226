"""A problem with a gain that an acceptance test can see: the threshold is wrong by much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metricopt.job import Outcome, optimize
from metricopt.methods import MetricOpt, MetricOptConfig

#: Seconds become tenths of seconds; nothing else differs.
QUICK = MetricOptConfig(surrogate_steps=8, climb_steps=5, moves=8, resamples=6, batch=64)


@dataclass(frozen=True)
class Case:
    """A model and its data."""

    model: nn.Module
    train: tuple[Tensor, Tensor]
    val: tuple[Tensor, Tensor]

    def optimized(self, metric: object = "f1", **options: object) -> Outcome:
        settings: dict[str, object] = {"budget": 150, "method": ["threshold", MetricOpt(config=QUICK)]}
        return optimize(self.model, metric=metric, train=self.train, val=self.val, **(settings | options))  # type: ignore[arg-type]


def threshold_case() -> Case:
    """Scores that are far too high; one of six inputs is positive."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(900, 4, generator=source)
    y = ((x[:, 0] + 0.3 * torch.randn(900, generator=source)) > 0.8).float()
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=source))
        net[0].weight[0] = torch.tensor([1.0, 0, 0, 0])
        net[2].weight[0, 0] = 4.0
        net[2].bias[0] = 1.5  # far too willing to say yes
    return Case(model=net, train=(x[:300], y[:300]), val=(x[300:], y[300:]))
