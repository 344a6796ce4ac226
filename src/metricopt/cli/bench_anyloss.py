"""`metricopt bench anyloss`: losses made from a metric against cross-entropy and a tuned threshold."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._errors import ConfigError

if TYPE_CHECKING:
    from ..bench.anyloss import CellFailure, Study, StudySpec
    from ..runtime import ResultStore


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("anyloss")(anyloss)


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
    from ..bench.anyloss import PRESETS, make_study
    from ..bench.anyloss.print_study import print_study
    from ..runtime import ResultStore

    spec = _chosen(PRESETS[preset](), data=_names(data), networks=_names(network), losses=_names(losses))
    _check(files=(out, markdown, plot, write), workers=workers)
    store = ResultStore(out if out is not None else Path(f"anyloss-{preset}.jsonl"))
    failures = _run(spec, store, workers) if run else []
    study = make_study(spec, store.rows())
    print_study(study, compact=compact)
    _write(study, markdown=markdown, plot=plot, write=write, block=block)
    if failures:
        _report(failures, store)
        raise typer.Exit(1)


def _chosen(spec: StudySpec, **options: tuple[str, ...] | None) -> StudySpec:
    return replace(spec, **{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _check(*, files: tuple[Path | None, ...], workers: int | None) -> None:
    """What would fail after an hour of runs fails now."""
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers must be 0, which runs in this process, or more; got {workers}")
    for path in files:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigError(f"cannot write {path}: give a file in a folder that exists and can be written to")


def _run(spec: StudySpec, store: ResultStore, workers: int | None) -> list[CellFailure]:
    from ..bench.anyloss import run_study

    absent = spec.absent
    if absent:
        typer.echo(f"metricopt: left out, since their files are not here: {', '.join(absent)}", err=True)
    cells = [cell for cell in spec.cells() if cell.data not in absent]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return run_study(cells, store, workers=min(cores, 2) if workers is None else workers)


def _write(study: Study, *, markdown: Path | None, plot: Path | None, write: Path | None, block: str) -> None:
    from ..bench.anyloss.print_study import to_markdown
    from ..bench.anyloss.rank_plot import rank_plot
    from ..bench.markdown import rewrite_block
    from ..runtime import write_atomically

    if markdown is not None:
        write_atomically(markdown, to_markdown(study).encode())
    if plot is not None:
        write_atomically(plot, rank_plot(study).encode())
    if write is not None:
        rewrite_block(write, block, to_markdown(study, compact=True))


def _report(failures: list[CellFailure], store: ResultStore) -> None:
    from ..bench import failure_store

    typer.echo(f"metricopt: {len(failures)} cells failed; they are tried again the next time", err=True)
    for failure in failures:
        cell = failure.cell
        last = failure.traceback.strip().splitlines()[-1]
        typer.echo(f"  {cell.data} {cell.network} {cell.loss}: {last}", err=True)
    typer.echo(f"their tracebacks are in {failure_store(store).path}", err=True)
