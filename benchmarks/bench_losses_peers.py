"""Losses beside the ones that a user would install for them, value and gradient: libauc and kornia.

    pip install --no-deps -r constraints/peers.txt     `make bench` does it; without them this fails

pytorch-metric-learning stands in bench_losses_retrieval.py. Each pair is first held to the same value, so that both
sides do the same work.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from figure import Figure, alternate, main
from loss_step import Loss, labelled, step
from metricopt.losses import get_loss

SIZES = (256, 1024, 4096, 20_000)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Ours and a peer; `same` says whether the values must agree, `classes` is for losses of several."""

    name: str
    ours: Loss
    peer: Loss
    same: bool = True
    classes: int = 1


def of_libauc() -> list[Pair]:
    from libauc.losses import AUCMLoss, AveragePrecisionLoss, PairwiseAUCLoss

    def soap(size: int) -> Loss:
        peer, rows = AveragePrecisionLoss(data_len=size, gamma=1.0), torch.arange(size)
        return lambda scores, targets: peer(scores, targets, rows)

    surrogates = {"auroc_squared_hinge": "squared_hinge", "auroc_hinge": "hinge", "auroc_logistic": "logistic"}
    pairs = []
    for ours, theirs in surrogates.items():
        try:
            peer = PairwiseAUCLoss(surr_loss=theirs)
        except ValueError:  # it has no plain hinge
            continue
        pairs.append(Pair(name=f"libauc / {ours}", ours=get_loss(ours), peer=peer))
    margin = get_loss("auc_margin")
    pairs.append(Pair(name="libauc / auc_margin", ours=margin, peer=AUCMLoss(), same=False))
    by_size = {size: soap(size) for size in SIZES}
    pairs.append(
        Pair(
            name="libauc / soap",
            ours=get_loss("soap"),
            peer=lambda scores, targets: by_size[len(scores)](scores, targets),
            same=False,  # it returns a weighted sum, of the same gradient
        )
    )
    return pairs


def of_kornia() -> list[Pair]:
    from kornia.losses import binary_focal_loss_with_logits, lovasz_hinge_loss, lovasz_softmax_loss

    def focal(scores: Tensor, targets: Tensor) -> Tensor:
        value: Tensor = binary_focal_loss_with_logits(
            scores[:, None], targets[:, None].to(scores.dtype), alpha=None, gamma=2.0, reduction="mean"
        )
        return value

    return [
        Pair(
            name="kornia / lovasz_hinge",
            ours=get_loss("lovasz_hinge"),
            peer=lambda scores, targets: lovasz_hinge_loss(scores[None, None, None], targets[None, None]),
        ),
        Pair(
            name="kornia / lovasz_softmax",
            ours=get_loss("lovasz_softmax"),
            peer=lambda scores, targets: lovasz_softmax_loss(scores.T[None, :, None], targets[None, None]),
            classes=5,
        ),
        Pair(name="kornia / focal", ours=get_loss("focal"), peer=focal, same=False),
    ]


def batch(n: int, classes: int) -> tuple[Tensor, Tensor]:
    if classes == 1:
        return labelled(n, 0.3)
    random = torch.Generator().manual_seed(n)
    return torch.randn(n, classes, generator=random), torch.randint(classes, (n,), generator=random)


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    for pair in [*of_libauc(), *of_kornia()]:
        for n in SIZES:
            scores, targets = batch(n, pair.classes)
            if pair.same:
                torch.testing.assert_close(pair.ours(scores, targets), pair.peer(scores, targets), rtol=1e-4, atol=1e-5)
            sides = step(pair.peer, scores, targets), step(pair.ours, scores, targets)
            repeats = 200 if n <= 1024 else 30 if n <= 4096 else 3
            ratio = alternate(*sides, repeats=repeats, warmup=3 if n <= 4096 else 1)
            figures.append(Figure(f"{pair.name}, n = {n:,}", ratio, "x", 1.0, "at least"))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
