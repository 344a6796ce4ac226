"""`metricopt bench`: tables of methods x metrics x seeds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._errors import ConfigError
from . import complete

if TYPE_CHECKING:
    from ..bench import TableSpec
    from ..bench.run_table import Failure
    from ..bench.table import Table

app = typer.Typer(no_args_is_help=True, help="Tables of methods x metrics x seeds.")


@app.callback()
def group() -> None:
    """Tables of methods x metrics x seeds."""


@app.command()
def table3(
    preset: Annotated[str, typer.Option(help="full, or smoke: small data, a minute.")] = "full",
    data: Annotated[str | None, typer.Option(help="Data sets, separated by commas.")] = None,
    sampler: Annotated[str | None, typer.Option(help="balanced, plain, or both.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Metrics, see `metricopt metrics`.", autocompletion=complete.several(complete.metrics)),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, see `metricopt methods`; @rival stands for all of that family.",
            autocompletion=complete.several(complete.methods),
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="For example 0-9, or 0,3,5.")] = None,
    calls: Annotated[int | None, typer.Option(help="Metric calls of every method.")] = None,
    against: Annotated[str | None, typer.Option(help="Methods that the others are compared with.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; 0 runs in this one. [default: cores, at most 2]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File of results. [default: table3-PRESET.jsonl]")] = None,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Do the runs that are missing, or only print.")] = True,
    compact: Annotated[bool, typer.Option("--compact", help="Print one small table per task.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the whole table to this file.")] = None,
    write: Annotated[Path | None, typer.Option(help="Rewrite the marked block of this file, compactly.")] = None,
    block: Annotated[str, typer.Option(help="The name in the marks of that block.")] = "table3",
) -> None:
    """Table 3 of the MetricOpt paper. Runs what is not in the file of results yet; stop and start it at will."""
    from ..bench.print_table import print_table
    from ..bench.table import make_table
    from ..bench.table3 import PRESETS
    from ..runtime import ResultStore

    spec = _chosen(
        PRESETS[preset](),
        data=_names(data),
        samplers=_names(sampler),
        metrics=_names(metrics),
        methods=_methods(methods),
        seeds=_seeds(seeds),
        calls=calls,
        against=_names(against),
    )
    _check(spec, files=(out, markdown, write), workers=workers)
    store = ResultStore(out if out is not None else Path(f"table3-{preset}.jsonl"))
    failures = _run(spec, store.path, workers) if run else []
    table = make_table(spec, store.rows())
    print_table(table, compact=compact)
    _write(table, markdown=markdown, write=write, block=block)
    if failures:
        _report(failures, store.path)
        raise typer.Exit(1)


def _check(spec: TableSpec, *, files: tuple[Path | None, ...], workers: int | None) -> None:
    """What would fail after an hour of runs fails now."""
    from .._errors import ConfigError
    from ..metrics import get_metric

    for metric in spec.metrics:
        get_metric(metric)  # one that needs options says so
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers must be 0, which runs in this process, or more; got {workers}")
    for path in files:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigError(f"cannot write {path}: give a file in a folder that exists and can be written to")


def _chosen(spec: TableSpec, **options: object) -> TableSpec:
    return replace(spec, **{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]


def _run(spec: TableSpec, out: Path, workers: int | None) -> list[Failure]:
    import torch

    from ..bench import run_table
    from ..runtime import ResultStore
    from ..tasks import load_dataset

    for name in spec.data:  # here rather than in a thousand failing runs
        load_dataset(name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers == 0:
        torch.set_num_threads(1)  # as in a worker: the last bits of a sum depend on it
    return run_table(spec.runs(), ResultStore(out), workers=min(cores, 2) if workers is None else workers)


def _write(table: Table, *, markdown: Path | None, write: Path | None, block: str) -> None:
    from ..bench.markdown import rewrite_block, to_markdown
    from ..runtime import write_atomically

    if markdown is not None:
        write_atomically(markdown, to_markdown(table).encode())
    if write is not None:
        rewrite_block(write, block, to_markdown(table, compact=True))


def _report(failures: list[Failure], out: Path) -> None:
    from ..bench import failure_store
    from ..runtime import ResultStore

    typer.echo(f"metricopt: {len(failures)} runs failed; they are tried again the next time", err=True)
    for failure in failures:
        run = failure.run
        last = failure.traceback.strip().splitlines()[-1]
        typer.echo(f"  {run.task.name} {run.metric} {run.method} seed {run.seed}: {last}", err=True)
    typer.echo(f"their tracebacks are in {failure_store(ResultStore(out)).path}", err=True)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _methods(text: str | None) -> tuple[str, ...] | None:
    """Names of methods; `@family` stands for every method of that family."""
    from ..bench.reference_methods import REFERENCES
    from ..methods import METHODS

    names = _names(text)
    if names is None:
        return None
    families = {name: entry.card.family for name, entry in METHODS.items()}
    families |= {name: entry.card.family for name, entry in REFERENCES.items()}
    chosen: list[str] = []
    for name in names:
        members = [method for method, family in families.items() if family == name[1:]] if name[0] == "@" else [name]
        if not members:
            known = ", ".join(f"@{family}" for family in dict.fromkeys(families.values()))
            raise ConfigError(f"no family of methods named {name!r}. There are: {known}")
        chosen += members
    return tuple(dict.fromkeys(chosen))


def _seeds(text: str | None) -> tuple[int, ...] | None:
    """`0-3,7` as (0, 1, 2, 3, 7).

    >>> _seeds("0-3,7")
    (0, 1, 2, 3, 7)
    """
    names = _names(text)
    if names is None:
        return None
    found: list[int] = []
    for name in names:
        first, _, last = name.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            raise ConfigError(f"seeds must look like 0-9 or 0,3,5; got {text!r}") from None
    return tuple(dict.fromkeys(found))
