"""`metricopt predict`: use the model of a finished job on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .report import RunArgument


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("predict")(predict)


def predict(
    run: RunArgument,
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file with the columns of the training table.")],
    out: Annotated[Path | None, typer.Option(help="A .csv or .parquet file. [default: print CSV]")] = None,
    separator: options.Separator = None,
    encoding: options.Encoding = None,
    quiet: options.Quiet = False,
) -> None:
    """Predict the target of every row, with the probability of each class."""
    from ..apps.table.predict import predict_table, write_predictions

    found = predict_table(run, data, separator=separator, encoding=encoding, quiet=quiet)
    if out is None:
        typer.echo(found.to_csv(index=False), nl=False)
        return
    write_predictions(found, out)
    if not quiet:
        typer.echo(f"{len(found):,} predictions are in {out}", err=True)
