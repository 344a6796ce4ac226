"""Train a table network for an estimator, on some of the rows or on all."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from ..._random import derive_seed, generator
from ..._types import LossFunction
from ...apps.table.model import (
    ClassLabels,
    Epoch,
    TableEncoder,
    TableModel,
    TableNet,
    TableRows,
    TargetScale,
    train_table_net,
)
from ...job import Outcome, optimize
from ...metrics import Metric
from ...runtime import progress
from .checked_input import take_rows
from .crossed_tuning import tune_scores
from .division import Division, Part
from .fit_settings import FitSettings


@final
@dataclass(frozen=True, kw_only=True)
class TableTask:
    """What a network is trained for.

    Args:
        table: a DataFrame or an array.
        targets: `(N,)`, class numbers or standardised numbers.
        target: what they mean.
        weights: of the rows, `(N,)`; None for all the same.
        settings: of the estimator.
    """

    table: Any = field(repr=False)
    targets: Tensor = field(repr=False)
    target: ClassLabels | TargetScale
    weights: Tensor | None = field(repr=False)
    settings: FitSettings

    @property
    def outputs(self) -> int:
        classes = len(self.target) if isinstance(self.target, ClassLabels) else 1
        return classes if classes > 2 else 1

    def everything(self) -> Part:
        """All rows to train on, none held out."""
        return torch.arange(len(self.targets)), torch.arange(0)


@final
@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network before it is tuned.

    Args:
        model: encoder and network, on the CPU.
        epochs: of its training.
        rows: that it was trained on. held_out: that it was not; None where there are none.
    """

    model: TableModel
    epochs: tuple[Epoch, ...] = field(repr=False)
    rows: TableRows = field(repr=False)
    held_out: TableRows | None = field(repr=False)

    def with_network(self, network: nn.Module) -> TableModel:
        """The model with another network of the same shape."""
        assert isinstance(network, nn.Sequential)
        return replace(self.model, network=network)

    def behind(self, layer: nn.Module) -> TableModel:
        """The model with a linear layer from scores to scores folded into the last layer of its network."""
        network = copy.deepcopy(self.model.network)
        last = network[-1]
        assert isinstance(last, nn.Linear) and isinstance(layer, nn.Linear)
        with torch.no_grad():
            weight, bias = layer.weight.double(), layer.bias.double()
            last.bias.copy_(weight @ last.bias.double() + bias)
            last.weight.copy_(weight @ last.weight.double())
        return self.with_network(network)


def train(task: TableTask, part: Part, *, name: str, last: int | None = None) -> Trained:
    """Fit the encoder on the training rows, then the network, which stops by the rows that are held out.

    Args:
        part: row numbers to train on and to hold out; the second may be empty.
        name: what is drawn as the title of the bar, and part of the seed.
        last: the epoch to end with; None leaves it to the held-out rows.
    """
    settings = task.settings
    encoder = TableEncoder.fit(take_rows(task.table, part[0]))
    rows, held_out = (_encoded(task, encoder, numbers) if len(numbers) else None for numbers in part)
    assert rows is not None
    shape = TableNet(features=encoder.width, outputs=task.outputs, hidden=settings.hidden, dropout=settings.dropout)
    network = shape.build(generator(settings.seed, "table net", "weights", name)).to(settings.device)
    with progress(settings.recipe.epochs, name, quiet=not settings.verbose) as advance:
        epochs = train_table_net(
            network,
            rows,
            aim="classes" if isinstance(task.target, ClassLabels) else "numbers",
            held_out=held_out if settings.early_stopping else None,
            recipe=replace(settings.recipe, last=last),
            seed=derive_seed(settings.seed, name),
            watch=lambda epoch: advance(note=f"loss {epoch.training:.4f}"),
        )
    model = TableModel(encoder=encoder, shape=shape, network=network.to("cpu"), target=task.target)
    return Trained(model=model, epochs=tuple(epochs), rows=rows, held_out=held_out)


def train_crossed(task: TableTask, division: Division) -> tuple[Trained, Tensor]:
    """A network on all rows, and the scores that networks of the folds give to the rows that they had not seen.

    The network on all rows is trained for as many epochs as the folds needed, in the median.

    Returns:
        the network, and `(M, outputs)` float32 in the order of `division.holdout`.
    """
    scores = torch.zeros(len(task.targets), task.outputs)
    needed = []
    for i, part in enumerate(division.parts):
        trained = train(task, part, name=f"fold {i + 1} of {len(division.parts)}")
        assert trained.held_out is not None
        with torch.no_grad():
            scores[part[1]] = trained.model.network(trained.held_out.inputs.cpu())
        needed.append(next(epoch.number for epoch in reversed(trained.epochs) if epoch.is_best))
    last = int(statistics.median(needed))
    return train(task, task.everything(), name="all rows", last=last), scores[division.holdout]


@final
@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A network after it was tuned; `outcome` is None where there was nothing to tune on."""

    model: TableModel
    epochs: tuple[Epoch, ...] = field(repr=False)
    outcome: Outcome | None = field(repr=False)


def fit_network(
    task: TableTask,
    division: Division,
    metric: Metric,
    *,
    loss: str | LossFunction,
    class_names: Sequence[str] | None = None,
) -> Fitted:
    """Train a network and tune it on rows that it, or the networks of the folds, have not seen."""
    if division.crossed:
        trained, scores = train_crossed(task, division)
        holdout = task.targets[division.holdout]
        outcome = tune_scores(
            scores,
            holdout,
            metric,
            loss=loss,
            settings=task.settings,
            codes=holdout if isinstance(task.target, ClassLabels) else None,
            class_names=class_names,
        )
        return Fitted(model=trained.behind(outcome.model), epochs=trained.epochs, outcome=outcome)
    trained = train(task, division.parts[0] if division.parts else task.everything(), name="training")
    if division.reason is not None or trained.held_out is None:
        return Fitted(model=trained.model, epochs=trained.epochs, outcome=None)
    outcome = tune_network(
        trained.model.network,
        metric,
        rows=trained.rows,
        held_out=trained.held_out,
        loss=loss,
        settings=task.settings,
        class_names=class_names,
    )
    return Fitted(model=trained.with_network(outcome.model), epochs=trained.epochs, outcome=outcome)


def _encoded(task: TableTask, encoder: TableEncoder, numbers: Tensor) -> TableRows:
    device = task.settings.device
    return TableRows(
        inputs=encoder.transform(take_rows(task.table, numbers)).to(device),
        targets=task.targets[numbers].to(device),
        weights=None if task.weights is None else task.weights[numbers].float().to(device),
    )


def tune_network(
    network: nn.Module,
    metric: Metric,
    *,
    rows: TableRows,
    held_out: TableRows,
    loss: str | LossFunction,
    settings: FitSettings,
    class_names: Sequence[str] | None = None,
) -> Outcome:
    """Tune a network on rows that it has not seen, through whatever adapters fit it."""
    return optimize(
        network,
        metric=metric,
        train=(rows.inputs, rows.targets),
        val=(held_out.inputs, held_out.targets),
        loss=loss,
        method=settings.method,
        budget=settings.calls,
        acceptance=settings.acceptance,
        confidence=settings.confidence,
        device=settings.device,
        seed=settings.seed,
        class_names=class_names,
        quiet=not settings.verbose,
    )
