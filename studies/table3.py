"""Table 3 of the MetricOpt paper: A9A and CoverType.

METRICOPT_DATA=folder python -m studies table3                    goes on from studies/results/table3.jsonl
python -m studies table3 --no-run --data a9a --compact            prints what is there
python -m studies table3 --preset smoke --out rows.jsonl          small data, a minute
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from metricopt._registry import Registry
from metricopt.bench.references import REFERENCES
from metricopt.bench.spec import PaperFigure, TableSpec
from metricopt.cli.bench import bench_table, method_names, seed_numbers
from metricopt.cli.bench_work import names
from metricopt.methods import METHODS
from studies.boosted_trees import register

register()

TITLES = {"accuracy": 'accuracy (the paper\'s "JAC")', "jaccard": "Jaccard (true)", "mcr": "MCR", "f1": "F1"}


#: The rows of the paper's table: their names, the same in words, and our methods that do the same.
_PAPER_ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CE": ("cross-entropy", ("as_trained",)),
    "LO": ("Lovász-Softmax loss", ()),
    "CS": ("cost-sensitive loss", ()),
    "SL": ("learned surrogate loss", ()),
    "MO": ("MetricOpt", ("metricopt", "metricopt_phi", "metricopt_phi_adam", "metricopt_paper")),
}


def _figures(**values: float) -> tuple[PaperFigure, ...]:
    return tuple(
        PaperFigure(label=label, title=_PAPER_ROWS[label][0], value=value, beside=_PAPER_ROWS[label][1])
        for label, value in values.items()
    )


#: MetricOpt, Table 3, by (data set, metric).
PAPER = {
    ("a9a", "mcr"): _figures(CE=0.1520, SL=0.1502, MO=0.1369),
    ("a9a", "accuracy"): _figures(LO=0.8461, SL=0.8488, MO=0.8691),
    ("a9a", "f1"): _figures(CS=0.6823, SL=0.6866, MO=0.6934),
    ("covtype", "mcr"): _figures(CE=0.2149, SL=0.2198, MO=0.2057),
    ("covtype", "accuracy"): _figures(LO=0.7406, SL=0.7808, MO=0.7758),
    ("covtype", "f1"): _figures(CS=0.7695, SL=0.7898, MO=0.8013),
}


def full() -> TableSpec:
    """Everything: 10 seeds of both data sets under both samplers."""
    return TableSpec(
        title="Table 3: tabular data",
        data=("a9a", "covtype"),
        samplers=("balanced", "plain"),
        methods=(*METHODS, *REFERENCES),
        metrics=("mcr", "f1", "accuracy", "jaccard", "average_precision"),
        seeds=tuple(range(10)),
        titles=TITLES,
        paper=PAPER,
        source="MetricOpt (Huang et al., CVPR 2021), Table 3",
    )


def smoke() -> TableSpec:
    """The same machinery on data that need no download, within a minute."""
    return TableSpec(
        title="Table 3, smoke test",
        data=("synthetic", "breast_cancer"),
        samplers=("balanced",),
        methods=("as_trained", "loss_finetune", "threshold", "random_search", "metricopt", "boosted_trees_threshold"),
        metrics=("mcr", "f1", "accuracy"),
        seeds=(0, 1),
        calls=40,
        titles=TITLES,
    )


PRESETS: Registry[Callable[[], TableSpec]] = Registry("preset")
PRESETS.add("full", full)
PRESETS.add("smoke", smoke)


ROWS = Path(__file__).resolve().parent / "results" / "table3.jsonl"


def table3(
    preset: Annotated[str, typer.Option(help="full, or smoke: small data, a minute.")] = "full",
    data: Annotated[str | None, typer.Option(help="Data sets, separated by commas.")] = None,
    sampler: Annotated[str | None, typer.Option(help="balanced, plain, or both.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Metrics.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods; @rival stands for all of that family.")] = None,
    seeds: Annotated[str | None, typer.Option(help="For example 0-9, or 0,3,5.")] = None,
    calls: Annotated[int | None, typer.Option(help="Metric calls of every method.")] = None,
    against: Annotated[str | None, typer.Option(help="Methods that the others are compared with.")] = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once; 0 runs in this process.")] = None,
    executor: Annotated[str, typer.Option(help="Where they run: processes, or ray.")] = "processes",
    out: Annotated[Path, typer.Option(help="File of results.")] = ROWS,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Do the runs that are missing, or only print.")] = True,
    compact: Annotated[bool, typer.Option("--compact", help="Print one small table per task.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the whole table to this file.")] = None,
    write: Annotated[Path | None, typer.Option(help="Rewrite the marked block of this file, compactly.")] = None,
    block: Annotated[str, typer.Option(help="The name in the marks of that block.")] = "table3",
) -> None:
    """Table 3 of the MetricOpt paper. Runs what is not in the file of results yet; stop and start it at will."""
    given = {
        "data": names(data),
        "samplers": names(sampler),
        "metrics": names(metrics),
        "methods": method_names(methods),
        "seeds": seed_numbers(seeds),
        "calls": calls,
        "against": names(against),
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    bench_table(
        replace(PRESETS[preset](), **chosen),
        out=out,
        workers=workers,
        executor=executor,
        run=run,
        compact=compact,
        markdown=markdown,
        write=write,
        block=block,
        setup=register,
    )
