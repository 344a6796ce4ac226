"""Losses that own tensors beside what a user would write instead: forward and backward of the same batch, one
thread."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from figure import Figure, alternate, main
from metricopt.losses import get_loss

Loss = Callable[[Tensor, Tensor], Tensor]

ROWS, CLASSES, FEATURES, MARGIN = 4_096, 10, 512, 4


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def there_and_back(loss: Loss, inputs: Tensor, targets: Tensor) -> Callable[[], None]:
    leaf = inputs.clone().requires_grad_()

    def run() -> None:
        leaf.grad = None
        loss(leaf, targets).backward()

    return run


def ratio(ours: Loss, peer: Loss, inputs: Tensor, targets: Tensor, repeats: int) -> float:
    sides = there_and_back(ours, inputs, targets), there_and_back(peer, inputs, targets)
    return alternate(*sides, repeats, warmup=5)


def margin_by_angles() -> Loss:
    """Large-margin softmax word for word: the angle itself, and where it lies."""
    weight = torch.randn(CLASSES, FEATURES, generator=generator()).requires_grad_()

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        logits = F.linear(x, weight)
        sizes = weight[labels].norm(dim=1) * x.norm(dim=1)
        cosine = logits.gather(1, labels[:, None])[:, 0] / sizes
        angle = cosine.clamp(-1 + 1e-7, 1 - 1e-7).acos()
        k = (MARGIN * angle / math.pi).floor().detach()
        target = sizes * ((-1) ** k * (MARGIN * angle).cos() - 2 * k)
        return F.cross_entropy(logits.scatter(1, labels[:, None], target[:, None]), labels)

    return loss


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    targets = torch.randint(CLASSES, (ROWS,), generator=generator())
    scores = torch.randn(ROWS, CLASSES, generator=generator())
    embeddings = torch.randn(ROWS, FEATURES, generator=generator())
    head = get_loss("large_margin_softmax", features=FEATURES, classes=CLASSES, margin=MARGIN)
    figures = [
        Figure(
            f"large-margin softmax / the same by angles, n = {ROWS}, D = {FEATURES}",
            ratio(head, margin_by_angles(), embeddings, targets, 60),
            "x",
            bound=1.0,
        )
    ]
    families: dict[str, Loss] = {
        "ala": get_loss("ala", classes=CLASSES, link="sigmoid"),
        "l2t_dlf": get_loss("l2t_dlf", classes=CLASSES, link="sigmoid"),
        "moew": get_loss("moew", size=CLASSES),
    }
    for name, loss in families.items():
        value = ratio(loss, F.cross_entropy, scores, targets, 300)
        figures.append(Figure(f"{name} / cross-entropy, n = {ROWS}", value, "x", bound=1.5))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
