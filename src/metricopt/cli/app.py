"""The program `metricopt`: its commands, and how errors reach the user."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .._errors import MetricOptError
from . import bench, demo, evolve, optimize, predict, registries, report
from .exit_codes import INTERRUPTED, WRONG_INPUT, exit_code_of
from .words import ARGUMENTS, in_words

#: A full disk behind standard output, or an error of the device.
_CANNOT_PRINT = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _tell_cannot_print(error: OSError) -> None:
    """One line where standard output cannot be written, which then leads nowhere, so that the end of the program does
    not try again; any other error is raised on."""
    if error.errno not in _CANNOT_PRINT:
        raise error
    typer.echo(f"metricopt: cannot print the result: {error.strerror}; what was finished is kept", err=True)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Commands(TyperGroup):
    """Turns our own errors into one line and an exit code; anything else is a bug and keeps its traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()  # a full disk is told here, not at the very end
            return found
        except MetricOptError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"metricopt: {in_words(error)}", err=True)
            raise typer.Exit(exit_code_of(error)) from None
        except KeyboardInterrupt:
            typer.echo("metricopt: stopped; what was finished is kept", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            _tell_cannot_print(error)
            raise typer.Exit(WRONG_INPUT) from None


app = typer.Typer(
    name="metricopt",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Tune a trained model toward any metric.",
)
optimize.add_to(app)
evolve.add_to(app)
demo.add_to(app)
report.add_to(app)
predict.add_to(app)
app.add_typer(bench.app, name="bench")
registries.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"metricopt {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Tune a trained model toward any metric."""


def main() -> None:
    """Run the program with the arguments of the process."""
    try:
        app(prog_name="metricopt")  # also where it runs as a module: completion goes by the name
    except OSError as error:  # of --help, which no command has a part in
        _tell_cannot_print(error)
        sys.exit(WRONG_INPUT)
