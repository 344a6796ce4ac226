"""`metricopt bench`: tables of methods x metrics x seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._errors import ConfigError
from . import complete
from .bench_work import check_before, names, report_failures, worker_count

if TYPE_CHECKING:
    from ..bench import Failure, Run, TableSpec
    from ..bench.table import Table

app = typer.Typer(no_args_is_help=True, help="Tables of methods x metrics x seeds.")


@app.callback()
def group() -> None:
    """Tables of methods x metrics x seeds."""


@app.command("run")
def run_bench(
    data: Annotated[
        str,
        typer.Argument(help="Problems, separated by commas: file.py:function, module:function, or a9a, covtype, ..."),
    ],
    metrics: Annotated[
        str,
        typer.Option(help="Metrics, see `metricopt metrics`.", autocompletion=complete.several(complete.metrics)),
    ],
    methods: Annotated[
        str,
        typer.Option(
            help="Methods, see `metricopt methods`; @rival stands for all of that family.",
            autocompletion=complete.several(complete.methods),
        ),
    ] = "as_trained,threshold,random_search,metricopt",
    sampler: Annotated[str, typer.Option(help="balanced, plain, or both; of built-in data.")] = "plain",
    seeds: Annotated[str, typer.Option(help="For example 0-9, or 0,3,5.")] = "0-2",
    calls: Annotated[int, typer.Option(help="Metric calls of every method.")] = 200,
    against: Annotated[str, typer.Option(help="Methods that the others are compared with.")] = "as_trained",
    workers: Annotated[
        int | None, typer.Option(help="Runs at once; 0 runs in this process. [default: cores, at most 2]")
    ] = None,
    executor: Annotated[str, typer.Option(help="Where they run: processes, or ray.")] = "processes",
    out: Annotated[Path, typer.Option(help="File of results; what it holds is not run again.")] = Path("bench.jsonl"),
    run: Annotated[bool, typer.Option("--run/--no-run", help="Do the runs that are missing, or only print.")] = True,
    compact: Annotated[bool, typer.Option("--compact", help="Print one small table per task.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the whole table to this file.")] = None,
) -> None:
    """Methods side by side on your own problems. Runs what is not in the file of results yet; stop and start at
    will."""
    from ..bench import TableSpec

    spec = TableSpec(
        title="bench",
        data=names(data) or (),
        samplers=names(sampler) or (),
        metrics=names(metrics) or (),
        methods=method_names(methods) or (),
        seeds=seed_numbers(seeds) or (),
        calls=calls,
        against=names(against) or (),
    )
    bench_table(spec, out=out, workers=workers, executor=executor, run=run, compact=compact, markdown=markdown)


@app.command("arena")
def run_arena(
    preset: Annotated[str, typer.Option(help="smoke, quick or full.")] = "quick",
    problems: Annotated[
        str | None, typer.Option(help="Problems, in place of the preset's; @tables, @images: all of these.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(help="Methods, in place of the preset's.", autocompletion=complete.several(complete.methods)),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="For example 0-4, in place of the preset's.")] = None,
    calls: Annotated[str | None, typer.Option(help="Budgets, for example 20,100, in place of the preset's.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Runs at once; 0 runs in this process. [default: cores, at most 2]")
    ] = None,
    executor: Annotated[str, typer.Option(help="Where they run: processes, or ray.")] = "processes",
    out: Annotated[Path, typer.Option(help="File of results; what it holds is not run again.")] = Path("arena.jsonl"),
    run: Annotated[bool, typer.Option("--run/--no-run", help="Do the runs that are missing, or only print.")] = True,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 where MetricOpt is not first at every budget.")
    ] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the page to this file, and its picture beside it.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Rewrite the marked block of this file.")] = None,
    block: Annotated[str, typer.Option(help="The name in the marks of that block.")] = "arena",
) -> None:
    """MetricOpt against its rivals on problems with a gap between loss and metric. Stop and start at will."""
    from ..bench.arena.page import markdown as page
    from ..bench.arena.page import picture
    from ..bench.arena.presets import CONTROLS, chosen_preset
    from ..bench.arena.run import perform
    from ..bench.arena.standings import best_known, standings
    from ..bench.kept_rows import fill
    from ..bench.printed import rewrite_block
    from ..runtime import ResultStore, write_atomically

    check_before(files=(out, markdown, write), workers=workers)
    wanted = chosen_preset(
        preset,
        problems=names(problems),
        methods=method_names(methods),
        seeds=seed_numbers(seeds),
        calls=seed_numbers(calls),
    )
    store, runs = ResultStore(out), list(wanted.runs())
    failures = fill(store, runs, perform, workers=worker_count(workers), on=executor) if run else []
    keys = {one.key.digest for one in runs}
    rows = [row for row in store.rows() if row["key"] in keys]
    ranked = [name for name in wanted.methods if name not in CONTROLS]
    controls = [name for name in wanted.methods if name in CONTROLS]
    text = page(rows, ranked, controls)
    typer.echo(text)
    if markdown is not None:
        write_atomically(markdown, text.encode())
        write_atomically(markdown.with_suffix(".svg"), picture(rows, ranked).encode())
    if write is not None:
        rewrite_block(write, block, text)
    if failures:
        report_failures(failures, store, what="runs")
        raise typer.Exit(1)
    known = best_known(row for row in rows if row["method"] in ranked)
    found = [standings(rows, calls=budget, methods=ranked, known=known) for budget in wanted.calls]
    behind = [one.calls for one in found if one is not None and one.lines[0].method != "metricopt"]
    if check and (behind or None in found):
        typer.echo(f"metricopt: MetricOpt is not first at {behind or 'every budget: runs are missing'}", err=True)
        raise typer.Exit(1)


def bench_table(
    spec: TableSpec,
    *,
    out: Path,
    workers: int | None = None,
    executor: str = "processes",
    run: bool = True,
    compact: bool = False,
    markdown: Path | None = None,
    write: Path | None = None,
    block: str = "",
    setup: Callable[[], None] | None = None,
) -> None:
    """Fill a table, print it, write it to files; exit 1 where runs failed. `setup`: see `run_table`."""
    from ..bench.printed import print_table
    from ..bench.table import make_table
    from ..runtime import ResultStore

    _check(spec, files=(out, markdown, write), workers=workers)
    store = ResultStore(out)
    failures = _run(spec, store.path, workers, executor, setup) if run else []
    table = make_table(spec, store.rows())
    print_table(table, compact=compact)
    _write(table, markdown=markdown, write=write, block=block)
    if failures:
        report_failures(failures, store, what="runs")
        raise typer.Exit(1)


def _check(spec: TableSpec, *, files: tuple[Path | None, ...], workers: int | None) -> None:
    """What would fail after an hour of runs fails now."""
    from ..metrics import get_metric

    for metric in spec.metrics:
        get_metric(metric)  # one that needs options says so
    check_before(files=files, workers=workers)


def _run(
    spec: TableSpec, out: Path, workers: int | None, executor: str, setup: Callable[[], None] | None
) -> list[Failure[Run]]:
    import torch

    from ..bench import run_table
    from ..bench.run_table import no_setup
    from ..job.problem_function import build_problem
    from ..runtime import ResultStore
    from ..tasks import load_dataset

    for name in spec.data:  # here rather than in a thousand failing runs
        if ":" in name:
            build_problem(name)
        else:
            load_dataset(name)
    if workers == 0:
        torch.set_num_threads(1)  # as in a worker: the last bits of a sum depend on it
    return run_table(spec.runs(), ResultStore(out), workers=worker_count(workers), on=executor, setup=setup or no_setup)


def _write(table: Table, *, markdown: Path | None, write: Path | None, block: str) -> None:
    from ..bench.printed import rewrite_block, to_markdown
    from ..runtime import write_atomically

    if markdown is not None:
        write_atomically(markdown, to_markdown(table).encode())
    if write is not None:
        rewrite_block(write, block, to_markdown(table, compact=True))


def method_names(text: str | None) -> tuple[str, ...] | None:
    """Names of methods; `@family` stands for every method of that family."""
    from ..bench.references import REFERENCES
    from ..methods import METHODS

    given = names(text)
    if given is None:
        return None
    families = {name: entry.card.family for name, entry in METHODS.items()}
    families |= {name: entry.card.family for name, entry in REFERENCES.items()}
    chosen: list[str] = []
    for name in given:
        members = [method for method, family in families.items() if family == name[1:]] if name[0] == "@" else [name]
        if not members:
            known = ", ".join(f"@{family}" for family in dict.fromkeys(families.values()))
            raise ConfigError(f"no family of methods named {name!r}. There are: {known}")
        chosen += members
    return tuple(dict.fromkeys(chosen))


def seed_numbers(text: str | None) -> tuple[int, ...] | None:
    """`0-3,7` as (0, 1, 2, 3, 7).

    >>> seed_numbers("0-3,7")
    (0, 1, 2, 3, 7)
    """
    given = names(text)
    if given is None:
        return None
    found: list[int] = []
    for name in given:
        first, _, last = name.partition("-")
        try:
            found += range(int(first), int(last or first) + 1)
        except ValueError:
            raise ConfigError(f"seeds must look like 0-9 or 0,3,5; got {text!r}") from None
    return tuple(dict.fromkeys(found))
