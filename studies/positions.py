"""Does a value function that reads pixels find more than one that reads phi? Made scenes, a small net of masks.

    python -m studies.positions              a quarter of an hour on one core; rows in studies/results/positions.jsonl
    python -m studies.positions --summary    what the rows say

A bright square and a small dark spot in noise; a conv net is trained with cross-entropy on 150 scenes, for one, two or
three hundred steps by the seed. 62 calls search by 400 scenes with the default adapters and are judged by 1,000 others.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import metricopt
from studies.cells import compared, kept, measured

ROWS = Path(__file__).parent / "results" / "positions.jsonl"
SIDE, SEEDS, CALLS = 24, range(6), 62
METHODS = ("metricopt", "metricopt_phi", "cma_es")


def scenes(count: int) -> tuple[Tensor, Tensor]:
    """Noisy images, and masks of a bright square (1) and a dark spot (2)."""
    images, masks = 0.7 * torch.randn(count, 1, SIDE, SIDE), torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    for image, mask in zip(images, masks, strict=True):
        for label, size, bright in ((1, 5, 0.9), (2, 3, -1.2)):
            x, y = torch.randint(0, SIDE - size, (2,)).tolist()
            image[0, y : y + size, x : x + size] += bright
            mask[y : y + size, x : x + size] = label
    return images, masks


def worth(scores: Tensor, masks: Tensor) -> float:
    """A pixel of a spot that is found brings 1, a false alarm costs a fifth; as a share of what is there."""
    found, there = scores.argmax(dim=1) == 2, masks == 2
    return max(float(((found & there).sum() - 0.2 * (found & ~there).sum()) / there.sum()), -1.0)


def found_spots(scores: Tensor, masks: Tensor) -> float:
    """The share of images where at least half of the spot is found, and not more than that is called one elsewhere."""
    found, there = (scores.argmax(dim=1) == 2).flatten(1), (masks == 2).flatten(1)
    hits, wrong, half = (found & there).sum(1), (found & ~there).sum(1), there.sum(1) / 2
    return float(((hits >= half) & (wrong <= half)).double().mean())


JUDGES: dict[str, Any] = {"mean_iou": metricopt.get_metric("jaccard"), "worth": worth, "found_spots": found_spots}


@lru_cache(maxsize=1)
def problem(seed: int) -> tuple[nn.Module, tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A trained net, and scenes to train on, to search on and to judge by."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        train, search, test = scenes(150), scenes(400), scenes(1000)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 1)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(100 * (1 + seed % 3)):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(train[0]), train[1]).backward()
            optimizer.step()
    return model.eval(), train, search, test


def perform(*, metric: str, method: str, seed: int) -> dict[str, Any]:
    """The metric on fresh scenes before and after a search without an acceptance test."""
    model, train, search, test = problem(seed)
    judge = JUDGES[metric]
    stated = {} if isinstance(judge, metricopt.Metric) else {"higher_is_better": True, "bounds": (-1.0, 1.0)}
    outcome = metricopt.optimize(
        model,
        metric=judge,
        **stated,
        train=train,
        val=search,
        acceptance=None,
        method=method,
        budget=CALLS,
        seed=seed,
        quiet=True,
    )
    with torch.no_grad():
        before, after = (judge(one(test[0]), test[1]) for one in (model, outcome.model))
    return {"start": before, "gain": after - before, "dim": len(outcome.phi), "seconds": outcome.seconds}


def summary(rows: list[dict[str, Any]]) -> str:
    return compared(rows, metrics=list(JUDGES), methods=METHODS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [
        {"metric": metric, "method": method, "seed": seed} for seed in SEEDS for metric in JUDGES for method in METHODS
    ]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
