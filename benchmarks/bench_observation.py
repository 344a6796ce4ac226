"""What an observation costs where the end of a network is adapted, against a full forward pass.

A ResNet-32 with its last stage adapted, which is read off by tracing; and a transformer whose code looks at values,
with the norms of its last two of twelve blocks adapted: what lies in front is recorded once and played back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from figure import Figure, alternate, main
from metricopt.adapters import ConditionalNorm, Film, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, Metric
from metricopt.problem import Problem
from metricopt.workload import TensorWorkload
from resnet import ResNet

ROWS, PHIS, BLOCKS = 256, 4, 12


class LooksAtValues(nn.Module):
    """A transformer that cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True) for _ in range(BLOCKS)]
        )
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x) if bool(x.isfinite().all()) else x
        found: Tensor = self.last(x.mean(dim=1))
        return found


def _ratio(model: nn.Module, inputs: Tensor, adapters: Any, where: Any) -> float:
    labels = torch.arange(ROWS) % 10
    adapted = attach(model, adapters, where=where, probe=inputs[:4])
    workload = TensorWorkload(adapted, loss=cross_entropy, train=(inputs, labels), val=(inputs, labels))
    workload.prepare()
    metric = Metric(lambda scores, targets: 0.5, name="free", higher_is_better=True)  # its own cost is not asked for
    problem = Problem(workload, metric=metric, budget=Budget())
    phis = 0.1 * torch.randn(PHIS, workload.dim)

    def observe() -> None:
        problem.observe(phis)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(PHIS):
                adapted.model(inputs)

    return alternate(observe, forward, 5)


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    both = [Film(), OutputShift()]
    traced = _ratio(ResNet(32).eval(), torch.randn(ROWS, 3, 32, 32), both, {"film": "layer3.*"})
    norms = tuple(f"blocks.{BLOCKS - back}.norm?" for back in (1, 2))
    recorded = _ratio(LooksAtValues().eval(), torch.randn(ROWS, 16, 64), ConditionalNorm(), norms)
    return [
        Figure("observation / full forward pass, ResNet-32, last stage", traced, "x", bound=0.45),
        Figure("observation / full forward pass, transformer that is not traced", recorded, "x", bound=0.45),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
