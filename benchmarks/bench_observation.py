"""What an observation costs where the last stage of a ResNet-32 is adapted, against a full forward pass."""

from __future__ import annotations

import torch

from figure import Figure, alternate, main
from metricopt.adapters import Film, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.metrics import Budget, Metric
from metricopt.problem import Problem
from metricopt.workload import TensorWorkload
from resnet import ResNet

IMAGES, PHIS = 256, 4


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, images, labels = ResNet(32).eval(), torch.randn(IMAGES, 3, 32, 32), torch.arange(IMAGES) % 10
    adapted = attach(model, [Film(), OutputShift()], where={"film": "layer3.*"}, probe=images[:4])
    workload = TensorWorkload(adapted, loss=cross_entropy, train=(images, labels), val=(images, labels))
    workload.prepare()
    metric = Metric(lambda scores, targets: 0.5, name="free", higher_is_better=True)  # its own cost is not asked for
    problem = Problem(workload, metric=metric, budget=Budget())
    phis = 0.1 * torch.randn(PHIS, workload.dim)

    def observe() -> None:
        problem.observe(phis)

    def forward() -> None:
        with torch.no_grad():
            for _ in range(PHIS):
                adapted.model(images)

    ratio = alternate(observe, forward, 5)
    return [Figure("observation / full forward pass, ResNet-32, last stage", ratio, "x", bound=0.45)]


if __name__ == "__main__":
    raise SystemExit(main(measure))
