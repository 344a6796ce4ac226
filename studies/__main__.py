"""The published tables: `python -m studies table3`, `python -m studies anyloss`. Errors are told as by `metricopt`."""

from __future__ import annotations

import typer

from metricopt.cli.app import Commands
from studies.anyloss.command import anyloss
from studies.table3 import table3

app = typer.Typer(
    name="studies", cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.command("table3")(table3)
app.command("anyloss")(anyloss)


@app.callback()
def root(debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error.")) -> None:
    """Tables that the documentation quotes: what is in studies/results, and how to run it again."""


if __name__ == "__main__":
    app(prog_name="studies")
