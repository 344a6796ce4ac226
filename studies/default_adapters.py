"""Which adapters a family of architectures should get by default: test figures on MNIST with a long tail.

The training digits thin out from 600 zeros to 12 nines (50 : 1); validation and test are balanced. Every choice gets
the same `optimize(budget=200)`, without a holdout, and is judged on 5,000 test images that it never saw.

    METRICOPT_DATA=/path/to/data python -m studies.default_adapters [--seeds 0,1,2]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import metricopt
from metricopt._random import generator
from metricopt.adapters import ConditionalNorm, Film, InputBias, LoRA, OutputShift, Projected
from metricopt.runtime import describe_environment
from metricopt.tasks.images import mnist
from studies.cells import measured

RESULTS = Path(__file__).parent / "results"
ROWS = RESULTS / "default_adapters.jsonl"
LEFT = 14
CALLS = 200


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64)
        stages = [
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        ]
        self.stages, self.last = nn.ModuleList(stages), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, None]
        for stage in self.stages:
            x = stage(x)
        return self.last(x.mean(dim=(2, 3)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows, self.hidden, self.last = nn.GRU(28, 64, batch_first=True), nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.hidden(self.rows(x)[0][:, -1])))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(28, 48)
        self.place = nn.Parameter(0.1 * torch.randn(28, 48))
        layer = nn.TransformerEncoderLayer(48, 4, dim_feedforward=96, batch_first=True, dropout=0.0)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.last = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(self.embed(x) + self.place).mean(dim=1))


def choices(name: str) -> dict[str, Any]:
    """What is compared for a family; "auto" is the table."""
    bias = [InputBias(dim=LEFT), OutputShift()]
    shared: dict[str, Any] = {"auto": "auto", "shift alone": [OutputShift()], "input bias": bias}
    if name == "transformer":
        shared["all norms, projected"] = [Projected(adapter=ConditionalNorm(), dim=LEFT), OutputShift()]
    if name == "conv":
        shared["film everywhere, projected"] = [Projected(adapter=Film(), dim=LEFT), OutputShift()]
    if name == "recurrent":
        shared["lora, all linear, projected"] = [Projected(adapter=LoRA(), dim=LEFT), OutputShift()]
    return shared


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    images, labels = mnist()
    return images[:, 0].float() / 127.5 - 1, labels


def rows_of(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of training digits with a long tail, of validation and of test digits."""
    _, labels = digits()
    order = torch.randperm(len(labels), generator=generator("split", seed))
    pool, val, test = order[:40000], order[40000:42000], order[42000:47000]
    counts = [int(600 * 50 ** (-c / 9)) for c in range(10)]
    return torch.cat([pool[labels[pool] == c][:n] for c, n in enumerate(counts)]), val, test


@functools.lru_cache(maxsize=1)
def trained(name: str, seed: int) -> nn.Module:
    images, labels = digits()
    tail = rows_of(seed)[0]
    x, y = images[tail], labels[tail]
    torch.manual_seed(seed)
    model = {"conv": Conv, "recurrent": Recurrent, "transformer": Transformer}[name]()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    source = generator("training", seed)
    for _ in range(12 if name == "conv" else 25):
        for batch in torch.randperm(len(x), generator=source).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model.eval()


def perform(*, family: str, seed: int, adapters: str) -> dict[str, Any]:
    """The metric on test digits before and after a search with these adapters."""
    images, labels = digits()
    (tail, val, test), model, metric = rows_of(seed), trained(family, seed), metricopt.get_metric("g_mean")
    began = time.perf_counter()
    outcome = metricopt.optimize(
        model,
        metric=metric,
        train=(images[tail], labels[tail]),
        val=(images[val], labels[val]),
        adapters=choices(family)[adapters],
        acceptance=None,
        budget=CALLS,
        seed=seed,
        quiet=True,
    )
    seconds = time.perf_counter() - began
    with torch.no_grad():
        start, after = (metric(one(images[test]), labels[test]) for one in (model, outcome.model))
    return {"start": start, "test": after, "dim": len(outcome.phi), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--families", default="conv,recurrent,transformer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"family": family, "seed": seed, "adapters": choice}
        for family in options.families.split(",")
        for seed in map(int, options.seeds.split(","))
        for choice in choices(family)
    ]
    told = table(measured(ROWS, cells, perform))
    print(told)
    (RESULTS / "default_adapters.md").write_text(told)


def table(rows: list[dict[str, Any]]) -> str:
    """Gains over the trained model, their standard errors over seeds, and seconds."""
    machine = describe_environment()
    head = (
        "G-mean on 5,000 test digits: gain over the trained model and its standard error over seeds.\n"
        f"`python -m studies.default_adapters`, {machine['cpu']}, torch {machine['torch']}.\n"
    )
    lines = [head, "| family | adapters | numbers | seeds | start | gain | seconds |\n|---|---|---|---|---|---|---|"]
    for name in ("conv", "recurrent", "transformer"):
        for choice in choices(name):
            mine = [row for row in rows if row["family"] == name and row["adapters"] == choice]
            if not mine:
                continue
            gain = torch.tensor([row["test"] - row["start"] for row in mine])
            start, seconds = (torch.tensor([row[key] for row in mine]).mean() for key in ("start", "seconds"))
            error = gain.std() / len(gain) ** 0.5
            lines.append(
                f"| {name} | {choice} | {mine[0]['dim']} | {len(mine)} | {start:.4f} | {gain.mean():+.4f} ± "
                f"{error:.4f} | {seconds:.1f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
