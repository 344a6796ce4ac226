"""`metricopt predict`: use the model of a finished job on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._errors import ConfigError
from . import options


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("predict")(predict)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file with the columns of the training table.")],
    out: Annotated[Path | None, typer.Option(help="A .csv or .parquet file. [default: print CSV]")] = None,
    separator: options.Separator = None,
    encoding: options.Encoding = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the target of every row, with the probability of each class."""
    check_out(out, data, run, force=force)
    from ..apps.table.predict import predict_table, write_predictions

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    found = predict_table(run, data, separator=separator, encoding=encoding, strict=strict, say=say, quiet=quiet)
    if out is None:
        typer.echo(found.to_csv(index=False), nl=False)
        return
    write_predictions(found, out)
    if not quiet:
        typer.echo(f"{len(found):,} predictions are in {out}", err=True)


def check_out(out: Path | None, data: Path, run: Path, *, force: bool) -> None:
    """Raise ConfigError where writing to `out` would destroy what was given, or a file without being asked to."""
    if out is None or not out.exists():
        return
    if out.samefile(data) or out.resolve().is_relative_to(run.resolve()):
        what = "the table itself" if out.samefile(data) else "part of the run folder"
        raise ConfigError(f"--out {out} is {what} and would be overwritten; name another file")
    if not force:
        raise ConfigError(f"--out {out} is there already; name another file, or replace it with --force")
