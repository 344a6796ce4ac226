"""A problem that takes milliseconds and that a shift of the scores clearly improves; binary, multiclass or
multilabel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metricopt._random import generator
from metricopt.adapters import AdaptedModel, Adapter, InputBias, OutputShift, attach
from metricopt.losses import get_loss
from metricopt.metrics import Budget, Metric, get_metric
from metricopt.problem import Problem
from metricopt.workload import Examples, TensorWorkload

Kind = Literal["binary", "multiclass", "multilabel"]

#: The scores are this much too low, or too high: what a method is to find out.
BIAS = {"binary": [-2.0], "multiclass": [-2.0, 0.0, 1.5], "multilabel": [-2.0, 0.5, 2.0]}
METRIC = {"binary": "f1", "multiclass": "balanced_accuracy", "multilabel": "f1"}


class Ticks:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def tiny_problem(
    *,
    calls: int | None = 40,
    seconds: float | None = None,
    clock: Callable[[], float] | None = None,
    kind: Kind = "binary",
    metric: Metric | None = None,
    adapters: Sequence[Adapter] | None = None,
    examples: int = 120,
    seed: int = 0,
) -> Problem:
    """Two inputs, six hidden units, four numbers or more of phi; the net is right up to `BIAS`, the data noisy."""
    model, inputs, targets = tiny_data(kind, examples=2 * examples, seed=seed)
    adapters = [InputBias(dim=2), OutputShift()] if adapters is None else adapters
    budget = Budget(calls=calls, seconds=seconds)
    workload = TensorWorkload(
        attach(model, adapters, probe=inputs[:3]),
        loss=get_loss("cross_entropy"),
        train=Examples(inputs=inputs[:examples], targets=targets[:examples]),
        val=Examples(inputs=inputs[examples:], targets=targets[examples:]),
        batch_size=16,
    )
    problem = Problem(workload, metric=get_metric(METRIC[kind]) if metric is None else metric, budget=budget)
    if clock is not None:
        problem.meter = budget.start(clock=clock)
    return problem


def tiny_data(kind: Kind, *, examples: int, seed: int) -> tuple[nn.Sequential, Tensor, Tensor]:
    """A model in eval mode, inputs `(N, 2)`, and targets drawn from the model's own probabilities without `BIAS`."""
    stream = generator(seed, "tiny problem")
    inputs = torch.randn(examples, 2, generator=stream)
    outputs = len(BIAS[kind])
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, outputs)).eval()
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.normal_(std=1.5 if layer is model[0] else 0.8, generator=stream)
            layer.bias.normal_(std=0.3, generator=stream)
        scores = model(inputs)
        model[2].bias += torch.tensor(BIAS[kind]) - scores.median(dim=0).values
        scores = scores - scores.median(dim=0).values
        if kind == "multiclass":
            targets = torch.multinomial(scores.softmax(dim=1), 1, generator=stream)[:, 0]
        else:
            targets = torch.bernoulli(scores.sigmoid(), generator=stream)
            targets = targets[:, 0] if kind == "binary" else targets
    return model, inputs, targets


def problem_of(adapted: AdaptedModel, *, metric: Metric, budget: Budget, **settings: Any) -> Problem:
    """A problem on examples in memory."""
    return Problem(TensorWorkload(adapted, **settings), metric=metric, budget=budget)
