"""The network of a table: trained once, kept in the run folder, and turned so that the positive class is class 1."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..._random import generator
from ...runtime import progress
from ...workload import Examples
from .model import TableEncoder, TableModel, TableNet, TableRows, TableTraining, TargetScale, train_table_net
from .parts import TableParts
from .target import Target

_BLOCK = 8192


def trained_model(path: Path, frame: Any, target: Target, parts: TableParts, *, seed: int, quiet: bool) -> TableModel:
    """The model at `path`, or a new one, trained and saved there.

    Args:
        path: of a table model.
        frame: the columns to predict from, of the rows that have a target.
        target, parts: of these rows.
        seed: of weights and mini-batches.
        quiet: no progress bar.
    """
    if path.exists():
        return TableModel.load(path)
    encoder = TableEncoder.fit(frame.iloc[parts.train.numpy()])
    classes = 1 if target.labels is None else len(target.labels)
    shape = TableNet(features=encoder.width, outputs=classes if classes > 2 else 1)
    network = shape.build(generator(seed, "table net", "weights"))
    model = TableModel(encoder=encoder, shape=shape, network=network, target=target.meaning(parts.train))
    train, stop = (examples(model, frame, target, rows) for rows in (parts.train, parts.stop))
    recipe = TableTraining()
    with progress(recipe.epochs, "training", quiet=quiet) as advance:
        train_table_net(
            network,
            _rows(train),
            aim="numbers" if target.labels is None else "classes",
            held_out=_rows(stop),
            recipe=recipe,
            seed=seed,
            watch=lambda epoch: advance(note=f"loss {epoch.training:.4f}"),
        )
    model = replace(model, network=turned(network, target))
    model.save(path)
    return model


def examples(model: TableModel, frame: Any, target: Target, rows: Tensor) -> Examples:
    """Encoded rows with class numbers, or with standardised numbers."""
    values = target.values[rows]
    if isinstance(model.target, TargetScale):
        values = model.target.to_standard(values)
    inputs = model.encoder.transform(frame.iloc[rows.numpy()])
    return Examples(inputs=inputs, targets=values, beside=target.beside_of(rows))


def turned(network: nn.Module, target: Target) -> nn.Sequential:
    """A copy with its scores negated where the positive class is the first one; twice is the same network again."""
    copied = cast("nn.Sequential", copy.deepcopy(network))
    if target.swapped:
        last = cast("nn.Linear", copied[-1])
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.neg_()
    return copied


def scores_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Raw scores of encoded rows, in evaluation mode."""
    with torch.no_grad():
        return torch.cat([network(block) for block in inputs.split(_BLOCK)])


def _rows(part: Examples) -> TableRows:
    return TableRows(inputs=part.inputs, targets=part.targets)
