"""Two versions of the package side by side in one run: `optimize` by default on a table and on a small conv net.

    python benchmarks/versions.py OLD/src NEW/src

Each side runs in a process of its own, alternately; what is printed is the median of time(new) / time(old).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings

import torch
from torch import Tensor, nn


class SmallConv(nn.Module):
    """Three convolutions and a forward of its own, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 32, 3, 1, 1), nn.Conv2d(32, 64, 3, 2, 1), nn.Conv2d(64, 64, 3, 2, 1)
        self.last = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b(torch.relu(self.a(x))))
        return self.last(torch.relu(self.c(x)).mean(dim=(2, 3)))


def table() -> dict[str, object]:
    x = torch.randn(6000, 8, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.8 * torch.randn(6000, generator=torch.Generator().manual_seed(1)) > 2).float()
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1)).eval()
    return {"model": net, "metric": "f1", "train": (x[:2000], y[:2000]), "val": (x[2000:], y[2000:]), "budget": 500}


def images() -> dict[str, object]:
    x = torch.randn(5000, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    y = torch.arange(5000) % 10
    parts = {"train": (x[:3000], y[:3000]), "val": (x[3000:], y[3000:])}
    return {"model": SmallConv().eval(), "metric": "accuracy", **parts, "budget": 200, "batch_size": 128}


CASES = {"table": (table, 5), "images": (images, 1)}


def run(case: str) -> float:
    """Seconds of one call, after a small one that loads everything."""
    import metricopt

    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    warm = table() | {"budget": 70}
    metricopt.optimize(**warm, quiet=True)  # type: ignore[arg-type]
    given = CASES[case][0]()
    began = time.perf_counter()
    metricopt.optimize(**given, quiet=True)  # type: ignore[arg-type]
    return time.perf_counter() - began


def main() -> None:
    if sys.argv[1] == "--case":
        print(run(sys.argv[2]))
        return
    old, new = sys.argv[1:3]
    for case, (_, repeats) in CASES.items():
        ratios = []
        for repeat in range(repeats):
            took = {}
            for path in (old, new) if repeat % 2 else (new, old):
                command = [sys.executable, __file__, "--case", case]
                done = subprocess.run(
                    command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
                )
                took[path] = float(done.stdout.split()[-1])
            ratios.append(took[new] / took[old])
            print(f"{case}: old {took[old]:.1f} s, new {took[new]:.1f} s", flush=True)
        print(f"{case}: new / old {statistics.median(ratios):.3f}", flush=True)


if __name__ == "__main__":
    main()
