"""`metricopt report`: the result of a run folder, and its report written anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._errors import CheckpointError, ConfigError
from . import options
from .grid import Column, print_grid
from .printed import Printed, show

if TYPE_CHECKING:
    from ..report import ReportData

RunArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="A run folder; of several, a page that compares them.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("report")(report)


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it. [default: RUN/report.html, of several runs compared.html]")
    ] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: options.Json = False,
) -> None:
    """Print the result of a finished run and write its report; of several runs, a page that compares them."""
    from ..report import write

    page = out or (run[0] / "report.html" if len(run) == 1 else Path("compared.html"))
    if len(run) > 1:
        _compare(run, page, as_json=as_json)
    else:
        result = _result(run[0], page)
        write(read_story(run[0]), page)
        show(result, as_json=as_json)
    if browse:
        typer.launch(str(page))


def _compare(folders: Sequence[Path], page: Path, *, as_json: bool) -> None:
    from ..report import write_compared

    if page.exists() and not page.read_bytes()[:200].lstrip().startswith(b"<!doctype html>"):
        raise ConfigError(f"{str(page)!r} is something else than a page; name another file with --out")
    runs = {str(folder): read_story(folder) for folder in folders}
    write_compared(runs, page)
    if as_json:
        rows = [{"run": name, **_figures(data)} for name, data in runs.items()]
        typer.echo(json.dumps({"runs": rows, "report": str(page)}, allow_nan=False))
        return
    columns = [Column("run"), Column("metric"), *(Column(name, number=True) for name in ("before", "after", "calls"))]
    cells = [
        (name, data.metric, f"{found['before']:.4g}", f"{found['after']:.4g}", f"{data.calls:,}")
        for name, data in runs.items()
        for found in [_figures(data)]
    ]
    print_grid(columns, cells, plain=True)
    typer.echo(f"Report: {page}")


def _figures(data: ReportData) -> dict[str, Any]:
    """What to quote of one run."""
    from ..report.answer import quoted

    shown = quoted(data)
    return {
        "metric": data.metric,
        "accepted": data.accepted,
        "before": shown.before,
        "after": shown.after,
        "interval": None if shown.low is None else [shown.low, shown.high],
        "calls": data.calls,
        "seconds": data.seconds,
    }


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
