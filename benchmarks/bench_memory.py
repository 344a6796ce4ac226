"""Peak memory of what is large: images through all layers, many images through the one-call job, a long phi.

Each case runs in a process of its own; the peak includes Python, torch and the data. Linux only.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from figure import Figure, main
from metricopt import optimize
from metricopt.adapters import Film, LoRA, OutputShift, attach
from metricopt.losses import cross_entropy
from metricopt.workload import TensorWorkload
from resnet import ResNet


def all_layers() -> None:
    """Loss and gradient of 8 phis on batches of 128 images, Film on all layers of a ResNet-32."""
    images, labels = torch.randn(512, 3, 32, 32), torch.arange(512) % 10
    adapted = attach(ResNet(32).eval(), [Film(), OutputShift()], probe=images[:4])
    workload = TensorWorkload(adapted, loss=cross_entropy, train=(images, labels), val=(images, labels), batch_size=128)
    phis = 0.01 * torch.randn(8, workload.dim)
    workload.loss_and_grad(phis, torch.stack([workload.draws(seed, 1)[0] for seed in range(8)]))


def many_images() -> None:
    """50,000 images in memory through `optimize`; a small conv net."""
    images, labels = torch.randn(50_000, 3, 32, 32), torch.arange(50_000) % 10
    net = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1)),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimize(
            net.eval(),
            metric="accuracy",
            train=(images[:40_000], labels[:40_000]),
            val=(images[40_000:], labels[40_000:]),
            batch_size=128,
            budget=62,
            method="random_search",
            quiet=True,
        )


def long_phi() -> None:
    """A scale, observations and gradients where phi has 100,000 numbers."""
    features, labels = torch.randn(4096, 1000), torch.arange(4096) % 10
    net = nn.Sequential(nn.Linear(1000, 1000), nn.ReLU(), nn.Linear(1000, 10)).eval()
    adapted = attach(net, [LoRA(rank=100), OutputShift()], where={"lora": "0"}, probe=features[:4])
    assert adapted.spec.dim > 100_000
    workload = TensorWorkload(adapted, loss=cross_entropy, train=(features, labels), val=(features, labels))
    phis = 0.1 * workload.phi_scale * torch.randn(8, workload.dim)
    workload.predict(phis)
    workload.loss_and_grad(phis, torch.stack([workload.draws(seed, 1)[0] for seed in range(8)]))


CASES: dict[str, tuple[Callable[[], None], str, float]] = {
    "all_layers": (all_layers, "ResNet-32, Film on all layers, population 8, batch 128", 4.0),
    "many_images": (many_images, "50,000 images through optimize", 6.0),
    "long_phi": (long_phi, "d = 100,000 (LoRA)", 2.0),
}


def measure() -> list[Figure]:
    figures = []
    for name, (_, title, bound) in CASES.items():
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), "--case", name], capture_output=True, text=True, check=True
        )
        figures.append(Figure(f"{title}, peak memory", float(done.stdout.split()[-1]), "GiB", bound=bound))
    return figures


if __name__ == "__main__":
    if "--case" in sys.argv:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        CASES[sys.argv[-1]][0]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30)
    else:
        raise SystemExit(main(measure))
