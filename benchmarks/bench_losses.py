"""AnyLoss beside `binary_cross_entropy_with_logits`: forward and backward on one thread, bare and in a training step.

The aim for the bare loss at 4,096 scores was 1.15, and it is not met. There a call of PyTorch costs more than its
arithmetic: cross-entropy is one call of about 25 microseconds forward and backward. The floor is measured here
as well: two sigmoids, the product with the targets and the sum, without which no F1 can be had, already take
1.4 of it. AnyLoss
needs
eleven calls with the leak and seven without. Fused into a function with a backward of its own it is slower still, since
such a function costs 16 microseconds by itself. In a training step nothing of it is left, and where both sides go
through `torch.compile`, which needs a C++ compiler, it is about the 1.15. The bounds of the bare losses hold the line
that was reached.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from figure import Figure, alternate, main
from metricopt.losses import anyloss, get_loss

N = 4_096
Loss = Callable[[Tensor, Tensor], Tensor]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def example(rows: int) -> tuple[Tensor, Tensor]:
    scores = torch.randn(rows, generator=generator(), requires_grad=True)
    return scores, (torch.rand(rows, generator=generator()) < 0.3).float()


def bare(loss: Loss, rows: int, times: int = 3) -> Callable[[], None]:
    """Forward and backward to the scores, some times over: few enough to end before the scheduler interrupts."""
    scores, targets = example(rows)

    def run() -> None:
        for _ in range(times):
            scores.grad = None
            loss(scores, targets).backward()  # type: ignore[no-untyped-call]

    return run


def training_step(loss: Loss, rows: int) -> Callable[[], None]:
    """The same behind the smallest network of the project's tables, 123-100-30-10-1."""
    widths = (123, 100, 30, 10)
    layers = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.LeakyReLU())]
    net = nn.Sequential(*layers, nn.Linear(10, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    inputs = torch.randn(rows, 123, generator=generator())
    targets = example(rows)[1]

    def run() -> None:
        optimizer.zero_grad()
        loss(net(inputs)[:, 0], targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def floor(scores: Tensor, targets: Tensor) -> Tensor:
    """The least that soft true positives and soft predicted positives take."""
    steep = torch.sigmoid(torch.rsub(torch.sigmoid(scores), -5.0, alpha=-10.0))
    return torch.dot(steep, targets) + steep.sum()


def measure() -> list[Figure]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    base: Loss = F.binary_cross_entropy_with_logits
    losses: dict[str, tuple[Loss, float]] = {
        "AnyLoss F1": (get_loss("anyloss_f_beta"), 5.0),
        "AnyLoss F1 without leak": (get_loss("anyloss_f_beta", leak=0.0), 3.5),
        "AnyLoss G-mean": (get_loss("anyloss_g_mean"), 8.0),
        "anyloss(lambda c: ...)": (anyloss(lambda c: c.tp / (c.tp + c.fn + c.fp)), 6.0),
    }
    figures = []
    for name, (loss, bound) in losses.items():
        ratio = alternate(bare(loss, N), bare(base, N), repeats=600, warmup=20)
        figures.append(Figure(f"{name} / BCE, {N} scores", ratio, "x", bound=bound))
    ratio = alternate(bare(floor, N), bare(base, N), repeats=600, warmup=20)
    figures.append(
        Figure(f"two sigmoids and their two sums / BCE, {N} scores: the floor", ratio, "x", 1.15, "at least")
    )
    if shutil.which("g++") is None:
        print("no g++ here: torch.compile cannot be measured", flush=True)
    else:
        fast = torch.compile(base)
        for name, (loss, _) in losses.items():
            ratio = alternate(bare(torch.compile(loss), N), bare(fast, N), repeats=600, warmup=20)
            figures.append(Figure(f"{name} / BCE, {N} scores, both compiled", ratio, "x", bound=1.3))
    for name in ("AnyLoss F1", "AnyLoss F1 without leak"):
        steps = training_step(losses[name][0], N), training_step(base, N)
        ratio = alternate(*steps, repeats=100, warmup=5)
        figures.append(Figure(f"training step with {name} / with BCE, MLP, batch {N}", ratio, "x", bound=1.15))
    return figures


if __name__ == "__main__":
    raise SystemExit(main(measure))
