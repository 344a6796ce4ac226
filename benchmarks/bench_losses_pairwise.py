"""Pairwise losses beside the form that makes all pairs, value and gradient; and what 100,000 scores need."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from figure import Figure, alternate, main, seconds
from loss_step import Loss, labelled, step
from metricopt.losses import get_loss
from peak_memory import megabytes

PAIRS: dict[str, Callable[[Tensor], Tensor]] = {
    "auroc_squared_hinge": lambda gap: (1 - gap).clamp(min=0).square(),
    "auroc_hinge": lambda gap: (1 - gap).clamp(min=0),
    "auroc_logistic": lambda gap: F.softplus(-gap),
}
#: The textbook form of three calls wins on short lists, where what is fixed counts: about 0.2 ms for shapes, columns,
#: batches of one class. Those bounds only guard against getting slower.
BOUNDS = {
    "auroc_squared_hinge": {256: 0.25, 1024: 1, 4096: 4, 20_000: 20},
    "auroc_hinge": {256: 0.25, 1024: 1, 4096: 4, 20_000: 20},
    "auroc_logistic": {256: 0.25, 1024: 0.4, 4096: 1, 20_000: 2},
}


def all_pairs(of_gap: Callable[[Tensor], Tensor]) -> Loss:
    """The textbook form: a matrix of positives by negatives."""

    def loss(scores: Tensor, targets: Tensor) -> Tensor:
        positives, negatives = scores[targets == 1], scores[targets == 0]
        return of_gap(positives[:, None] - negatives).mean()

    return loss


#: Share of positives.
POSITIVE = 0.3


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    for name, of_gap in PAIRS.items():
        for n, bound in BOUNDS[name].items():
            sides = step(all_pairs(of_gap), *labelled(n, POSITIVE)), step(get_loss(name), *labelled(n, POSITIVE))
            ratio = alternate(*sides, repeats=100 if n <= 1024 else 9 if n <= 4096 else 3)
            figures.append(Figure(f"all pairs / {name}, n = {n:,}", ratio, "x", bound, "at least"))
    for name in ("auroc_squared_hinge", "auroc_hinge"):
        figures.append(
            Figure(f"{name}, n = 100,000", seconds(step(get_loss(name), *labelled(100_000, POSITIVE))), "s", 1.0)
        )
    for name in PAIRS:
        n = 100_000 if name != "auroc_logistic" else 20_000
        figures.append(
            Figure(
                f"memory of {name}, n = {n:,}", megabytes(f"get_loss('{name}')", n), "MB", 1000 if n == 100_000 else 50
            )
        )
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
