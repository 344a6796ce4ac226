"""Losses of embeddings beside pytorch-metric-learning (`make bench` installs it): time and memory."""

from __future__ import annotations

import torch
from torch import Tensor

from figure import Figure, alternate, main
from loss_step import Loss, step
from metricopt.losses import get_loss
from peak_memory import EMBEDDINGS, megabytes


def peers() -> dict[str, Loss]:
    """The losses of pytorch-metric-learning with the same settings."""
    from pytorch_metric_learning import losses, miners

    miner, weighted = miners.MultiSimilarityMiner(0.1), losses.MultiSimilarityLoss(2, 50, 0.5)
    return {
        "fast_ap": losses.FastAPLoss(10),
        "supervised_contrastive": losses.SupConLoss(0.1),
        "multi_similarity": lambda embeddings, labels: weighted(embeddings, labels, miner(embeddings, labels)),
        # For the time alone: its value is not that of the authors' code.
        "retrieval_smooth_ap": losses.SmoothAPLoss(0.01),
    }


def batch(n: int) -> tuple[Tensor, Tensor]:
    """Four of each label, 128 numbers each, so that some pairs are hard."""
    random = torch.Generator().manual_seed(n)
    centres = torch.randn(n // 4, 128, generator=random).repeat_interleave(4, 0)
    return torch.randn(n, 128, generator=random) + 0.7 * centres, torch.arange(n) // 4


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    for name, peer in peers().items():
        for n in (256, 1024, 4096):
            if name == "retrieval_smooth_ap" and n > 256:
                continue  # the peer needs n^3 numbers
            sides = step(peer, *batch(n)), step(get_loss(name), *batch(n))
            ratio = alternate(*sides, repeats={256: 20, 1024: 7}.get(n, 2))
            figures.append(
                Figure(f"pytorch-metric-learning / {name}, n = {n:,}, 128 numbers", ratio, "x", 1.0, "at least")
            )
    for name in ("fast_ap", "supervised_contrastive", "multi_similarity", "retrieval_smooth_ap", "retrieval_recall"):
        used = megabytes(
            f"get_loss('{name}')", 5_000, EMBEDDINGS
        )  # all similarities at once would be 100 MB, and a loss holds many
        figures.append(Figure(f"memory of {name}, n = 5,000, 64 numbers", used, "MB", 80))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
