"""The options that commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import complete

Data = Annotated[
    str, typer.Argument(help="A CSV or Parquet file, or module:function (file.py:function) that builds a problem.")
]
Target = Annotated[str | None, typer.Option(help="The column to predict.", autocompletion=complete.columns)]
MetricSpec = Annotated[
    str | None,
    typer.Option(
        help="A name from `metricopt metrics`, file.py:function, module:function, cmd:PROGRAM ARGUMENTS, or a URL.",
        autocompletion=complete.metrics,
    ),
]
SubjectTo = Annotated[
    list[str] | None,
    typer.Option(metavar="LIMIT", help='A limit on another metric, like "recall >= 0.9"; may be given several times.'),
]
Name = Annotated[
    str | None, typer.Option(help="What the metric is called in the result and the report. [default: its own name]")
]
Maximize = Annotated[
    bool | None, typer.Option("--maximize/--minimize", help="Which way is better, if the metric does not say so.")
]
Bounds = Annotated[
    tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="The range of the metric, if it does not say so.")
]
ReadsOption = Annotated[
    str | None, typer.Option("--reads", help="What the metric is given: scores, probabilities or labels.")
]
TaskOption = Annotated[str, typer.Option("--task", help="auto, classification or regression.")]
Positive = Annotated[str | None, typer.Option(help="Which of two classes counts as positive. [default: the last]")]
Drop = Annotated[
    str | None,
    typer.Option(help="Columns to leave out, separated by commas.", autocompletion=complete.several_columns),
]
Beside = Annotated[
    str | None,
    typer.Option(
        help="Columns that a metric with a third argument is told of each row, separated by commas: a group, a cost.",
        autocompletion=complete.several_columns,
    ),
]
SlicesOption = Annotated[
    str | None,
    typer.Option(
        "--slices",
        help="Groups that the value function looks into: columns whose values are groups, separated by commas, or a "
        "number of clusters.",
        autocompletion=complete.several_columns,
    ),
]
Separator = Annotated[str | None, typer.Option(help="Between the columns of a CSV. [default: found out]")]
Encoding = Annotated[str | None, typer.Option(help="Of a CSV, for example cp1252. [default: utf-8]")]
MetricTimeout = Annotated[
    float | None, typer.Option(help="Seconds for one attempt of a command or URL. [default: 60, 30]")
]
MetricRetries = Annotated[
    int | None, typer.Option(help="Attempts of a command or URL after the first one. [default: 0, 2]")
]
MetricHeader = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VARIABLE", help="A header for a URL; its value is in that environment variable."),
]
CallsAtOnce = Annotated[int | None, typer.Option("--workers", help="Calls of a command or URL at once. [default: 1]")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a column of numbers that holds something else, instead of a note.")
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="auto, or names from `metricopt methods`, separated by commas. [default: auto]",
        autocompletion=complete.several(complete.methods),
    ),
]
Loss = Annotated[
    str | None, typer.Option(help="A name from `metricopt losses` to follow.", autocompletion=complete.losses)
]
Calls = Annotated[int | None, typer.Option(help="Metric calls of search and acceptance test. [default: 1000]")]
Seconds = Annotated[float | None, typer.Option(help="Time of search and acceptance test. [default: no limit]")]
Validation = Annotated[float | None, typer.Option(help="Share of the rows for search and acceptance. [default: 0.25]")]
TestShare = Annotated[
    float | None, typer.Option(help="Share of the rows that nobody sees before the end. [default: 0.2]")
]
AcceptanceShare = Annotated[
    float | None, typer.Option("--acceptance", help="Share of the validation rows that decides. [default: 0.4]")
]
Acceptance = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Share of the validation rows for the acceptance test, or none for no test. [default: 0.4]",
    ),
]
Confidence = Annotated[float | None, typer.Option(help="Of the intervals. [default: 0.95]")]
Seed = Annotated[int | None, typer.Option(help="Of everything random. [default: 0]")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ... [default: an accelerator if there is one]")]
Run = Annotated[Path | None, typer.Option(help="The run folder. [default: runs/NAME-METRIC]")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
FailIfUnchanged = Annotated[
    bool, typer.Option("--fail-if-unchanged", help="Exit with status 3 if the model stays as it was.")
]
