"""Base models of the arena: trained once for each problem and seed, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..._random import generator
from ..._types import LossFunction
from ...losses import get_loss
from ...tasks.pretrain import load_or_train


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a base model is trained: Adam or SGD with one cycle, mini-batches in random order.

    Args:
        epochs, batch, rate: of the training.
        images: random flips and small shifts of images `(N, C, H, W)`.
        sgd: SGD with Nesterov momentum and weight decay in place of Adam.
    """

    epochs: int
    batch: int = 128
    rate: float = 3e-3
    images: bool = False
    sgd: bool = False


def fitted(
    net: nn.Sequential,
    x: Tensor,
    y: Tensor,
    *,
    recipe: Recipe,
    loss: Callable[[Tensor, Tensor], Tensor],
    key: str,
    seed: int,
) -> nn.Sequential:
    """`net` trained on all rows, or what the cache holds of the same `key`, `recipe` and `seed`."""

    def train(model: nn.Sequential) -> None:
        source = generator("arena", key, seed)
        steps = recipe.epochs * -(-len(x) // recipe.batch)
        if recipe.sgd:
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                model.parameters(), recipe.rate, momentum=0.9, weight_decay=5e-4, nesterov=True
            )
        else:
            optimizer = torch.optim.Adam(model.parameters(), recipe.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps, cycle_momentum=False)
        model.train()
        for _ in range(recipe.epochs):
            for rows in torch.randperm(len(x), generator=source).split(recipe.batch):
                if len(rows) == 1:  # batch norm needs two
                    rows = rows.repeat(2)
                inputs = _moved(x[rows], source) if recipe.images else x[rows]
                optimizer.zero_grad()
                loss(model(inputs), y[rows]).backward()
                optimizer.step()
                schedule.step()

    settings = {"arena": key, "seed": seed, "rows": len(x), **recipe.__dict__}
    return load_or_train(net, settings=settings, train=train)


def table_net(features: int, outputs: int, *, seed: int) -> nn.Sequential:
    """An MLP 64-32 with ReLU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs))


def conv_net(channels: int, classes: int, *, width: int, last: int, seed: int) -> nn.Sequential:
    """Four 3 x 3 convolutions with batch norm, the last of `last` channels, and a linear layer on 2 x 2 means."""

    def block(inside: int, out: int) -> list[nn.Module]:
        return [nn.Conv2d(inside, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *block(channels, width),
            *block(width, width),
            nn.MaxPool2d(2),
            *block(width, 2 * width),
            nn.MaxPool2d(2),
            *block(2 * width, last),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * last, classes),
        )


def _moved(images: Tensor, source: torch.Generator) -> Tensor:
    """Each image flipped or not, the batch shifted by up to 3 pixels."""
    flip = torch.rand(len(images), generator=source) < 0.5
    down, right = torch.randint(-3, 4, (2,), generator=source).tolist()
    flipped = torch.where(flip[:, None, None, None], images.flip(3), images)
    return torch.roll(flipped, (down, right), (2, 3))


def training_loss(outputs: str) -> LossFunction:
    """What base models are trained with, and the plain loss of a problem."""
    return get_loss("mse" if outputs == "values" else "cross_entropy")
