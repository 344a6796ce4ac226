"""Tasks on which losses are tried in a second: made-up numbers and classes, networks of a few weights."""

from __future__ import annotations

import torch
from torch import nn

from metricopt._random import generator
from metricopt.evolution import BaseTask
from metricopt.losses import cross_entropy
from metricopt.metrics import Metric, get_metric


def mean_squared_error(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (scores.reshape(-1) - targets.reshape(-1)).square().mean()


MSE = Metric(mean_squared_error, name="mse", higher_is_better=False, bounds=(0.0, 1e6))


def linear_task(*, rows: int = 120, rate: float = 0.1) -> BaseTask:
    """A noise-free line in three dimensions."""
    source = generator("linear task")
    x = torch.randn(rows, 3, generator=source)
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + 0.3
    half = rows // 2
    return BaseTask(
        net=nn.Linear(3, 1),
        x=x[:half],
        y=y[:half],
        val_x=x[half:],
        val_y=y[half:],
        outputs="values",
        metric=MSE,
        objective=mean_squared_error,
        batch=16,
        rate=rate,
    )


def class_task(*, classes: int = 3, rows: int = 300, rate: float = 0.2, metric: str = "mcr") -> BaseTask:
    """Overlapping clouds in four dimensions."""
    source = generator("class task", classes)
    centres = 1.5 * torch.randn(classes, 4, generator=source)
    y = torch.randint(classes, (rows,), generator=source)
    x = centres[y] + torch.randn(rows, 4, generator=source)
    half = rows // 2
    binary = classes == 2
    return BaseTask(
        net=nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1 if binary else classes)),
        x=x[:half],
        y=y[:half],
        val_x=x[half:],
        val_y=y[half:],
        outputs="binary" if binary else "multiclass",
        metric=get_metric(metric),
        objective=cross_entropy,
        batch=32,
        rate=rate,
    )
