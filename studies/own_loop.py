"""A learned loss in one's own loop against `optimize` with as many metric calls: the problem of the README.

    python -m studies.own_loop              four minutes; rows appended to studies/results/own_loop.jsonl
    python -m studies.own_loop --summary    what the rows say

Both may call the metric 100 times on the same rows. `optimize` goes without its acceptance test here; the loop takes a
value function that `learn_value` made with its calls, as a loss, and 200 steps of Adam on the same phi.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch

import metricopt
from metricopt import InputBias, OutputShift, attach
from studies.cells import kept, measured

ROWS = Path(__file__).parent / "results" / "own_loop.jsonl"
CALLS, STEPS, RATE, TEST = 100, 200, 0.02, 10_000


def perform(seed: int) -> dict[str, Any]:
    """F1 on fresh rows: of the model as it was, of `optimize`, and of the loop."""
    torch.manual_seed(seed)
    x = torch.randn(8000 + TEST, 8)
    y = (x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.8 * torch.randn(len(x)) > 2).float()
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(x[:2000])[:, 0], y[:2000]).backward()
        optimizer.step()
    data = {"train": (x[:2000], y[:2000]), "val": (x[2000:8000], y[2000:8000])}
    one_call = metricopt.optimize(
        model, metric="f1", **data, acceptance=None, budget=CALLS + 2, seed=seed, quiet=True
    ).model
    learned = metricopt.learn_value(model, metric="f1", **data, calls=CALLS, seed=seed)
    toward = metricopt.LearnedLoss(learned)
    adapted = attach(copy.deepcopy(model), [InputBias(dim=16), OutputShift()], probe=x[:8])
    optimizer = torch.optim.Adam([adapted.phi], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        toward(adapted(x[2000:8000]), y[2000:8000]).backward()
        optimizer.step()
    loop = adapted.merged(adapted.phi.detach())
    f1 = metricopt.get_metric("f1")
    found = {"start": model, "optimize": one_call, "loop": loop}
    return {name: f1(one(x[8000:])[:, 0].detach(), y[8000:]) for name, one in found.items()}


def summary(rows: list[dict[str, Any]]) -> str:
    """Means with standard errors, and the paired difference."""
    table = {
        name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in ("start", "optimize", "loop")
    }
    gained = {name: table[name] - table["start"] for name in ("optimize", "loop")}
    apart = gained["loop"] - gained["optimize"]

    def told(values: torch.Tensor) -> str:
        return f"{float(values.mean()):+.4f} ± {float(values.std() / len(values) ** 0.5):.4f}"

    return (
        f"Over {len(rows)} seeds F1 starts at {float(table['start'].mean()):.4f}; `optimize` gains "
        f"{told(gained['optimize'])}, the loop {told(gained['loop'])}, a difference of {told(apart)} (standard errors)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cells = [{"seed": seed} for seed in range(asked.seeds)]
    print(summary(kept(ROWS) if asked.summary else measured(ROWS, cells, perform)))


if __name__ == "__main__":
    main()
