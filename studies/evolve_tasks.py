"""What the study of evolved losses runs on: rows, networks, metrics, and how rows are cut."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from metricopt._random import derive_seed, generator
from metricopt.bench.arena.materials import binary, houses, of_sklearn, wine_grades
from metricopt.evolution import BaseTask, EvolutionSettings, LossPopulation, Outputs, PlainLosses, flat, taught
from metricopt.losses import aimed_loss, get_loss
from metricopt.metrics import Metric, get_metric
from metricopt.tasks.images import cifar10, mnist, normalised
from metricopt.tasks.tables import TabularFile

from .base_models import BASE_MODELS

SETTINGS = EvolutionSettings(
    population=20,
    generations=12,
    parsimony=1.4,
    local_steps=30,
    meta_rate=1e-2,
    train_steps=200,
    rejection_steps=60,
    finalists=5,
    final_seeds=3,
    final_steps=600,
)
RATES = (0.01, 0.03, 0.1, 0.3)
#: Steps of the trainings that are judged.
STEPS = 1500


@dataclass(frozen=True, kw_only=True)
class Task:
    """Rows, a network and a metric.

    Args:
        load: inputs and targets.
        model: a name in `BASE_MODELS`; transfer: a second one that the losses found on the first train, too.
        outputs, metric: what scores stand for, what judges.
        rare: whether positives are few: then metrics and losses aimed at them differ.
        most: rows that are used. batch: of them in a step.
    """

    load: Callable[[], tuple[Tensor, Tensor]]
    model: str
    outputs: Outputs
    metric: str
    rare: bool = False
    most: int = 6000
    batch: int = 128
    transfer: str | None = None


def _columns(load: Callable[[], Any]) -> Callable[[], tuple[Tensor, Tensor]]:
    def read() -> tuple[Tensor, Tensor]:
        found = load()
        return found.x, found.y

    return read


def boston() -> tuple[Tensor, Tensor]:
    """Boston housing, as published; the last column is the price."""
    import numpy as np
    import pandas as pd

    def read(content: bytes) -> tuple[Any, Any]:
        frame = pd.read_csv(io.BytesIO(content), header=None)
        values = frame.to_numpy(dtype=np.float64)
        return values[:, :-1], values[:, -1]

    x, y = TabularFile(name="boston_housing.csv", sha256=BOSTON, read=read).load()
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


BOSTON = "2682ca02e83b89467d7d0cdcbde7c0cc4d2566119be8ce8d84dad4f0fa20859a"


def _mnist() -> tuple[Tensor, Tensor]:
    images, labels = mnist()
    return (images.float() / 255 - 0.13) / 0.31, labels


def _cifar() -> tuple[Tensor, Tensor]:
    (images, labels), _ = cifar10()
    return normalised(images[:6000]), labels[:6000]


def metric_of(name: str) -> Metric:
    """A metric of the library, or the squared error of standardised targets."""
    if name == "mse":
        return Metric(get_loss("mse"), name="mse", higher_is_better=False, bounds=(0.0, 1e9))
    return get_metric(name)


TASKS: dict[str, Task] = {
    "diabetes": Task(load=_columns(lambda: of_sklearn("diabetes")), model="mlp", outputs="values", metric="mse"),
    "california": Task(load=_columns(houses), model="mlp", outputs="values", metric="mse"),
    "boston": Task(load=boston, model="mlp", outputs="values", metric="mse"),
    "wine_grades": Task(load=_columns(wine_grades), model="mlp", outputs="multiclass", metric="mcr"),
    "spambase": Task(load=_columns(lambda: binary("spambase")), model="mlp", outputs="binary", metric="mcr"),
    "digits": Task(load=_columns(lambda: of_sklearn("digits")), model="mlp", outputs="multiclass", metric="mcr"),
    "mnist": Task(load=_mnist, model="mlp", outputs="multiclass", metric="mcr", transfer="lenet5"),
    # Smaller batches where a step is dear: four times as many steps an hour. All-CNN-C takes 1.5 s a step of 128 here.
    "mnist_lenet5": Task(load=_mnist, model="lenet5", outputs="multiclass", metric="mcr", batch=32),
    "cifar10": Task(load=_cifar, model="lenet5", outputs="multiclass", metric="mcr", batch=32, transfer="resnet"),
    **{
        f"{name}:{metric}": Task(
            load=_columns(functools.partial(binary, name)), model="mlp", outputs="binary", metric=metric, rare=True
        )
        for name in ("mammography", "annthyroid", "page_blocks")
        for metric in ("f1", "g_mean", "average_precision")
    },
}
GROUPS = {
    "@quick": (
        *("boston", "california", "wine_grades", "digits"),
        *("mammography:f1", "annthyroid:g_mean", "page_blocks:average_precision"),
    ),
    "@small": ("diabetes", "california", "boston", "wine_grades", "spambase", "digits"),
    "@rare": tuple(name for name, task in TASKS.items() if task.rare),
    "@images": ("mnist", "mnist_lenet5", "cifar10"),
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A task with its rows cut by a seed; `test` is for the one who judges."""

    task: BaseTask
    test_x: Tensor
    test_y: Tensor
    plain: str

    def judged(self, losses: LossPopulation, seed: int) -> tuple[list[float], list[Tensor], list[Tensor]]:
        """Errors on the rows that choose, and scores of choosing and test rows, of networks trained with each loss."""
        learners = taught(self.task, losses, steps=STEPS, seed=derive_seed("judged", seed))
        val, test = learners.predict(self.task.val_x), learners.predict(self.test_x)
        return (
            [self.task.error(one) for one in val],
            [flat(one, self.task.outputs) for one in val],
            [flat(one, self.task.outputs) for one in test],
        )

    def value(self, scores: Tensor) -> float | None:
        """The metric on the test rows; None of a network that diverged."""
        return self.task.metric(scores, self.test_y) if bool(scores.isfinite().all()) else None


def cut(name: str, seed: int, *, model: str | None = None) -> Rows:
    """The rows of a task by a seed, and the learning rate that the plain loss does best with."""
    task = TASKS[name]
    x, y = task.load()
    order = torch.randperm(len(y), generator=generator("evolve study", name, seed))[: task.most]
    x, y = x[order], y[order]
    first, end = len(y) // 2, len(y) * 7 // 10
    if x.dim() == 2:
        mean, deviation = x[:first].nanmean(0), x[:first].nan_to_num(0.0).std(0).clamp_min(1e-6)
        x = ((x - mean) / deviation).nan_to_num(0.0).clamp(-8, 8)
    if task.outputs == "values":
        y = (y - y[:first].mean()) / y[:first].std()
    outputs = int(y.max()) + 1 if task.outputs == "multiclass" else 1
    metric, plain = metric_of(task.metric), "mse" if task.outputs == "values" else "cross_entropy"
    base = BaseTask(
        net=BASE_MODELS[model or task.model](tuple(x.shape[1:]), outputs),
        x=x[:first],
        y=y[:first],
        val_x=x[first:end],
        val_y=y[first:end],
        outputs=task.outputs,
        metric=metric,
        batch=task.batch,
        objective=(aimed_loss(metric, task.outputs) if task.rare else None) or get_loss(plain),
    )
    errors = []
    for rate in RATES:
        here = replace(base, rate=rate)
        learners = taught(here, PlainLosses([get_loss(plain)], task.outputs), steps=STEPS, seed=seed)
        errors.append(here.error(learners.predict(here.val_x)[0]))
    best = replace(base, rate=RATES[errors.index(min(errors))])
    return Rows(task=best, test_x=x[end:], test_y=y[end:], plain=plain)
