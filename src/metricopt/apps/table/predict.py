"""Use a finished job on a table: predictions for the rows of another file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..._errors import CheckpointError
from ..._extras import require
from ...runtime import write_atomically
from .file import find_column, read_table
from .job import MODEL, SEARCH
from .model import ClassLabels, TableModel
from .model.columns import CategoryColumn
from .summary import TableSummary, is_finished


def predict_table(
    folder: Path,
    path: Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    strict: bool = False,
    say: Callable[[str], None] = lambda line: None,
    quiet: bool = True,
) -> Any:
    """The predictions of a finished run for every row of a table, as a DataFrame.

    One column is named as the target. In a classification, a column for each class holds its score as a probability.
    Columns that the model does not know are ignored.

    Args:
        folder: of a finished job on a table.
        path: the file.
        separator, encoding: of a CSV; None finds out.
        strict: refuse a column of numbers with cells that are none, instead of taking these for missing.
        say: is told what was noticed.
        quiet: no progress bar.

    Raises:
        CheckpointError: the folder holds no finished job on a table.
        DataError: the file cannot be read, or lacks a column.
    """
    import pandas as pd

    summary, model = finished_summary(folder), TableModel.load(folder / MODEL)
    texts = [c.name for c in model.encoder.columns if isinstance(c, CategoryColumn) and not c.from_numbers]
    file = read_table(path, separator=separator, encoding=encoding, as_text=texts, strict=strict, quiet=quiet)
    for note in file.notes:
        say(note)
    names = list(file.frame.columns)
    for name in model.encoder.inputs:
        find_column(name, names, "the input of the model", path)
    table = file.frame[list(model.encoder.inputs)]
    if not isinstance(model.target, ClassLabels):
        return pd.DataFrame({summary.target: model.predict(table)})
    scores = model.outputs(table)
    wide = (
        torch.softmax(scores, dim=1) if scores.dim() == 2 else torch.stack([(-scores).sigmoid(), scores.sigmoid()], 1)
    )
    found = {summary.target: model.target.decode(wide.argmax(dim=1))}
    for label, column in zip(model.target.values, wide.unbind(dim=1), strict=True):
        found[f"probability of {label}"] = np.asarray(column)
    return pd.DataFrame(found)


def write_predictions(found: Any, path: Path) -> None:
    """Write a DataFrame as CSV, or as Parquet where the name says so. Raises WriteFailed."""
    if path.suffix.lower() in (".parquet", ".pq"):
        require("pyarrow", extra="parquet", purpose="writing a Parquet file")
        write_atomically(path, found.to_parquet(index=False))
    else:
        write_atomically(path, found.to_csv(index=False).encode())


def finished_summary(folder: Path) -> TableSummary:
    """The summary of a finished job on a table.

    Raises:
        CheckpointError: there is none; the message says what the folder holds instead.
    """
    if is_finished(folder):
        return TableSummary.load(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"there is no run folder {str(folder)!r}; give the folder that `metricopt optimize` named"
        )
    if (folder / SEARCH).is_dir() or (folder / "run.json").exists():
        raise CheckpointError(
            f"{str(folder)!r} holds no finished job on a table. If it was stopped, run its command again; the run of "
            f"a problem of your "
            "own has no table to predict from: load it with metricopt.load(folder, model)"
        )
    raise CheckpointError(f"{str(folder)!r} is no run folder; give the folder that `metricopt optimize` named")
