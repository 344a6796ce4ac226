"""A loss for a table in a file: the columns encoded, a small network, and the search for losses on it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..._perceptron import perceptron
from ...evolution import EvolutionSettings
from ...job.evolved import Evolved
from ...job.loss_search import evolve
from ...workload import Examples
from .file import read_table
from .job import Say, settled
from .metric import table_metric
from .metric_name import called
from .model import TableEncoder, TargetScale
from .parts import part_rows
from .request import TableRequest
from .target import Target


def evolve_on_table(
    request: TableRequest,
    *,
    settings: EvolutionSettings,
    width: int = 32,
    rate: float | None = None,
    objective: str | None = None,
    executor: str = "serial",
    workers: int | None = None,
    run: Path | None = None,
    quiet: bool = True,
    say: Say = lambda line: None,
) -> Evolved:
    """Find a loss for a column of a table and a metric.

    Args:
        request: table, target, metric and shares of the rows; it has no test part here: the acceptance part is what
            nobody chooses by.
        settings: of the search.
        width: of the hidden layer; 0 makes a linear model.
        rate: learning rate; None finds it.
        objective: what constants are tuned by; None for the loss aimed at the metric.
        executor, workers: where candidates are trained.
        run: a folder that keeps the run.
        quiet: no progress bars.
        say: is told, a sentence each, what is being done.

    Raises: as `optimize_table`.
    """
    file = read_table(
        request.path, separator=request.separator, encoding=request.encoding, strict=request.strict, quiet=quiet
    )
    frame, target, notes = settled(request, file)
    parts = part_rows(target, request)
    wanted = table_metric(request, target, parts)
    for note in (*notes, target.told(), parts.told(), *wanted.notes):
        say(note)
    train = torch.cat([parts.train, parts.stop]).sort().values
    encoder, meaning = TableEncoder.fit(frame.iloc[train.numpy()]), target.meaning(train)

    def rows(part: torch.Tensor) -> Examples:
        values = target.values[part]
        if isinstance(meaning, TargetScale):
            values = meaning.to_standard(values)
        return Examples(inputs=encoder.transform(frame.iloc[part.numpy()]), targets=values)

    return evolve(
        _network(encoder.width, target, width),
        metric=wanted.metric,
        train=rows(train),
        val=rows(parts.search),
        acceptance=rows(parts.acceptance),
        loss=request.loss,
        objective=objective,
        outputs=_outputs(target),
        settings=settings,
        rate=rate,
        confidence=request.confidence,
        executor=executor,
        workers=workers,
        seed=request.seed,
        run=run,
        class_names=target.class_names,
        name=request.name or called(request.metric, wanted.metric.name),
        quiet=quiet,
    )


def _outputs(target: Target) -> str:
    if target.labels is None:
        return "values"
    return "multiclass" if len(target.labels) > 2 else "binary"


def _network(features: int, target: Target, width: int) -> nn.Sequential:
    classes = 1 if target.labels is None or len(target.labels) == 2 else len(target.labels)
    hidden = (width,) if width else ()
    return perceptron((features, *hidden, classes), activation=nn.SiLU)
