"""Does a value function that reads detections find more than one that reads phi? Made scenes, a small detector.

    python -m studies.detections              a quarter of an hour on one core; rows in studies/results/detections.jsonl
    python -m studies.detections --summary    what the rows say

One to three bright squares in noise, and a conv net that looks into each cell, trained with cross-entropy on 300.
Gains and shifts of all its channels are searched (50 numbers) by 600 scenes and few calls, and judged by 3,000 others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

import metricopt
from studies.cells import apart, kept, measured

ROWS = Path(__file__).parent / "results" / "detections.jsonl"
GRID, SEEDS, BUDGETS = 8, range(5), (62, 200)
METHODS = ("metricopt", "metricopt_phi", "cma_es")

Records: TypeAlias = list[dict[str, Tensor]]


def scenes(count: int) -> tuple[Tensor, Records]:
    """Noisy images with one to three bright squares, and a record of boxes for each."""
    images, records = 0.6 * torch.randn(count, 1, 32, 32), []
    for image in images:
        cells = torch.randperm(GRID * GRID)[: int(torch.randint(1, 4, (1,)))]
        corners = 4.0 * torch.stack([cells % GRID, cells // GRID], dim=1)
        for x, y in corners.long().tolist():
            image[0, y : y + 4, x : x + 4] += 0.6
        records.append({"boxes": torch.cat([corners, corners + 4], dim=1)})
    return images, records


def cells_of(records: Records) -> Tensor:
    """`(N, cells)`: 1 where there is a square."""
    found = torch.zeros(len(records), GRID * GRID)
    for row, record in zip(found, records, strict=True):
        x, y = (record["boxes"][:, :2] / 4).long().unbind(1)
        row[y * GRID + x] = 1.0
    return found


class Detector(nn.Module):
    """Says of each cell how sure it is of a square."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1)
        )

    def forward(self, images: Tensor) -> Records:
        sure = self.net(images).flatten(1).sigmoid()
        corners = 4.0 * torch.cartesian_prod(torch.arange(GRID), torch.arange(GRID)).flip(1)
        return [{"boxes": torch.cat([corners, corners + 4], dim=1), "scores": one} for one in sure]


def surest(records: Records) -> Tensor:
    return torch.stack([one["scores"] for one in records])


def loss(records: Records, truth: Records) -> Tensor:
    return nn.functional.binary_cross_entropy(surest(records), cells_of(truth))


def worth(records: Records, truth: Records) -> float:
    """A square that is found brings 1, a false alarm costs a fifth; as a share of what is there."""
    there, told = cells_of(truth) > 0, surest(records) > 0.5
    return max(float(((told & there).sum() - 0.2 * (told & ~there).sum()) / there.sum()), -1.0)


def f2(records: Records, truth: Records) -> float:
    there, told = cells_of(truth) > 0, surest(records) > 0.5
    hits = (told & there).sum()
    return float(5 * hits / (4 * there.sum() + told.sum()).clamp_min(1))


def clean(records: Records, truth: Records) -> float:
    """The share of images without any mistake."""
    return float(((cells_of(truth) > 0) == (surest(records) > 0.5)).all(dim=1).double().mean())


JUDGES: dict[str, Callable[[Records, Records], float]] = {"worth": worth, "f2": f2, "clean": clean}


@lru_cache(maxsize=1)
def problem(seed: int) -> tuple[nn.Module, tuple[Tensor, Records], tuple[Tensor, Records], tuple[Tensor, Records]]:
    """A trained detector, and scenes to train on, to search on and to judge by."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        train, search, test = scenes(300), scenes(600), scenes(3000)
        model = Detector()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(150):
            optimizer.zero_grad()
            loss(model(train[0]), train[1]).backward()
            optimizer.step()
    return model.eval(), train, search, test


def perform(*, metric: str, method: str, calls: int, seed: int) -> dict[str, Any]:
    """The metric on fresh scenes before and after a search without an acceptance test."""
    model, train, search, test = problem(seed)
    judge = JUDGES[metric]
    outcome = metricopt.optimize(
        model,
        metric=judge,
        higher_is_better=True,
        bounds=(-1.0, 1.0),
        loss=loss,
        train=train,
        val=search,
        acceptance=None,
        outputs="boxes",
        adapters=metricopt.Film(),
        method=method,
        budget=calls,
        seed=seed,
        quiet=True,
    )
    with torch.no_grad():
        before, after = (judge(one(test[0]), test[1]) for one in (model, outcome.model))
    return {"start": before, "gain": after - before, "dim": len(outcome.phi), "seconds": outcome.seconds}


def summary(rows: list[dict[str, Any]]) -> str:
    """Mean gains in hundredths, and how much more than each rival MetricOpt gains, paired, with standard errors."""
    lines = [
        "| metric | calls | seeds | MetricOpt | more than reading phi | more than CMA-ES |",
        "|---|---|---|---|---|---|",
    ]
    for metric in JUDGES:
        for calls in BUDGETS:
            gains = {
                method: {
                    r["seed"]: 100 * r["gain"]
                    for r in rows
                    if (r["metric"], r["method"], r["calls"]) == (metric, method, calls)
                }
                for method in METHODS
            }
            seeds = sorted(set.intersection(*(set(found) for found in gains.values())))
            if len(seeds) < 2:
                continue
            ours, *others = (torch.tensor([gains[method][seed] for seed in seeds]) for method in METHODS)
            more = " | ".join(apart(ours, one) for one in others)
            lines.append(f"| {metric} | {calls} | {len(seeds)} | {float(ours.mean()):+.1f} | {more} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"metric": metric, "method": method, "calls": calls, "seed": seed}
        for calls in BUDGETS
        for seed in SEEDS
        for metric in JUDGES
        for method in METHODS
    ]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
