"""`metricopt report`: the result of a run folder, and its report written anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._errors import CheckpointError
from . import options
from .printed import Printed, show

if TYPE_CHECKING:
    from ..report import ReportData

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("report")(report)


def report(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Where to write the report. [default: RUN/report.html]")] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print the result of a finished run and write its report."""
    from ..report import write

    page = out or run / "report.html"
    result = _result(run, page)
    write(read_story(run), page)
    show(result, as_json=as_json)
    if browse:
        typer.launch(str(page))


def _result(run: Path, page: Path) -> Printed:
    from ..apps.table.job import TableResult
    from ..apps.table.predict import finished_summary
    from ..job import Evolved, load
    from ..job.evolved import is_finished
    from .evolve import printed_evolved
    from .result_of_problem import printed_outcome
    from .result_of_table import printed_table

    if is_finished(run):
        return printed_evolved(Evolved.load(run), run, report=page)
    if (run / "outcome.json").exists():
        return printed_outcome(load(run), run, report=page)
    return printed_table(TableResult(folder=run, summary=finished_summary(run), again=False), report=page)


def read_story(run: Path) -> ReportData:
    """The data of the report of a finished run. Raises CheckpointError."""
    from ..report import ReportData
    from ..runtime import read_whole

    path = run / "report_data.json"
    try:
        return ReportData.from_json(read_whole(path).decode())
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error}. Restore it, or begin the run anew.") from error
