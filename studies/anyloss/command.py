"""`python -m studies anyloss`: losses made from a metric against cross-entropy and a tuned threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metricopt.cli.bench_work import check_before, names, report_failures, worker_count

if TYPE_CHECKING:
    from metricopt.bench import Failure
    from metricopt.runtime import ResultStore
    from studies.anyloss import Cell, Study, StudySpec


def anyloss(
    preset: Annotated[str, typer.Option(help="full, or smoke: small data, a minute.")] = "full",
    data: Annotated[str | None, typer.Option(help="Data sets, separated by commas.")] = None,
    network: Annotated[str | None, typer.Option(help="slp, mlp, or both.")] = None,
    losses: Annotated[str | None, typer.Option(help="Losses of the study, separated by commas.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; 0 runs in this one. [default: cores, at most 2]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File of results. [default: anyloss-PRESET.jsonl]")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Do what is missing, or only print.")] = True,
    compact: Annotated[bool, typer.Option("--compact", help="Print two small tables per network.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write all tables to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the critical-difference plot to this SVG file.")] = None,
    write: Annotated[Path | None, typer.Option(help="Rewrite the marked block of this file, compactly.")] = None,
    block: Annotated[str, typer.Option(help="The name in the marks of that block.")] = "anyloss",
) -> None:
    """The AnyLoss study. Runs what is not in the file of results yet; stop and start it at will."""
    from metricopt.runtime import ResultStore
    from studies.anyloss import PRESETS, make_study
    from studies.anyloss.print_study import print_study

    spec = _chosen(PRESETS[preset](), data=names(data), networks=names(network), losses=names(losses))
    check_before(files=(out, markdown, plot, write), workers=workers)
    store = ResultStore(out if out is not None else Path(f"anyloss-{preset}.jsonl"))
    failures = _run(spec, store, workers) if run else []
    study = make_study(spec, store.rows())
    print_study(study, compact=compact)
    _write(study, markdown=markdown, plot=plot, write=write, block=block)
    if failures:
        report_failures(failures, store, what="cells")
        raise typer.Exit(1)


def _chosen(spec: StudySpec, **options: tuple[str, ...] | None) -> StudySpec:
    return replace(spec, **{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]


def _run(spec: StudySpec, store: ResultStore, workers: int | None) -> list[Failure[Cell]]:
    from metricopt.bench.kept_rows import fill
    from studies.anyloss import run_cell

    absent = spec.absent
    if absent:
        typer.echo(f"metricopt: left out, since their files are not here: {', '.join(absent)}", err=True)
    cells = [cell for cell in spec.cells() if cell.data not in absent]
    return fill(store, cells, run_cell, workers=worker_count(workers), noun="cells")


def _write(study: Study, *, markdown: Path | None, plot: Path | None, write: Path | None, block: str) -> None:
    from metricopt.bench.printed import rewrite_block
    from metricopt.runtime import write_atomically
    from studies.anyloss.print_study import to_markdown
    from studies.anyloss.rank_plot import rank_plot

    if markdown is not None:
        write_atomically(markdown, to_markdown(study).encode())
    if plot is not None:
        write_atomically(plot, rank_plot(study).encode())
    if write is not None:
        rewrite_block(write, block, to_markdown(study, compact=True))
