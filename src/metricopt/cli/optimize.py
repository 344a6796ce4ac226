"""`metricopt optimize`: a table in a file, or a torch problem, tuned toward a metric."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import typer

from .._errors import ConfigError, OtherRun
from . import options
from .exit_codes import INTERRUPTED, UNCHANGED
from .printed import Printed, show
from .words import ARGUMENTS, as_command, listed_names

if TYPE_CHECKING:
    from ..apps.table.request import TableRequest

T = TypeVar("T")

#: Is told the run folder as soon as something is kept in it.
Begun: TypeAlias = Callable[[Path], None]

_TABLE_ONLY = ("target", "positive", "drop", "beside", "slices", "separator", "encoding", "validation", "test")
_BUDGET = ("calls", "seconds", "acceptance", "confidence", "seed", "device")
_FAR = ("metric_timeout", "metric_retries", "workers")
_OF_REQUEST = (*_TABLE_ONLY, *_FAR, "strict", *_BUDGET, "metric", "name", "bounds", "reads", "task", "method", "loss")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("optimize")(optimize)


def optimize(
    ctx: typer.Context,
    data: options.Data,
    target: options.Target = None,
    metric: options.MetricSpec = None,
    subject_to: options.SubjectTo = None,
    name: options.Name = None,
    maximize: options.Maximize = None,
    bounds: options.Bounds = None,
    reads: options.ReadsOption = None,
    metric_timeout: options.MetricTimeout = None,
    metric_retries: options.MetricRetries = None,
    metric_header: options.MetricHeader = None,
    workers: options.CallsAtOnce = None,
    task: options.TaskOption = "auto",
    positive: options.Positive = None,
    drop: options.Drop = None,
    beside: options.Beside = None,
    slices: options.SlicesOption = None,
    separator: options.Separator = None,
    encoding: options.Encoding = None,
    strict: options.Strict = False,
    method: options.MethodOption = None,
    loss: options.Loss = None,
    calls: options.Calls = None,
    seconds: options.Seconds = None,
    validation: options.Validation = None,
    test: options.TestShare = None,
    acceptance: options.Acceptance = None,
    confidence: options.Confidence = None,
    seed: options.Seed = None,
    device: options.Device = None,
    run: options.Run = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
    fail_if_unchanged: options.FailIfUnchanged = False,
) -> None:
    """Tune a model toward a metric.

    A change is kept only if it is better, beyond chance, on rows that the search never saw. A table: a network is
    trained on it, tuned, and measured on rows that nobody saw. module:function: the function returns
    dict(model=, train=, val=, ...), the arguments of metricopt.optimize.
    """
    from ..job.problem_function import names_a_function  # torch comes with it, which --help does not need

    given = {name: value for name, value in ctx.params.items() if value is not None} | share_of(acceptance)
    work = _of_problem if names_a_function(data) else _of_table
    with redirect_stdout(sys.stderr):  # what a user's code prints must not mix with the result
        result = resumable(ctx, lambda begun: work(given, begun, quiet=quiet or as_json))
    show(result, as_json=as_json)
    if fail_if_unchanged and not result.accepted:
        raise typer.Exit(UNCHANGED)


def resumable(ctx: typer.Context, work: Callable[[Begun], Printed]) -> Printed:
    """Do the work; Ctrl-C names what is kept and the command that goes on."""
    folders: list[Path] = []
    try:
        return work(folders.append)
    except KeyboardInterrupt:
        kept = f"what was done is kept in {folders[-1]}" if folders else "nothing had begun"
        command = as_command(ctx.meta[ARGUMENTS])
        typer.echo(f"metricopt: stopped; {kept}. The same command goes on: {command}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def optimize_file(
    request: TableRequest, begun: Begun, *, run: Path | None, base: Path | None = None, quiet: bool
) -> Printed:
    """The job on a table, with its notes on standard error."""
    from ..apps.table.job import optimize_table
    from .result_of_table import printed_table

    def say(line: str) -> None:
        typer.echo(line, err=True)

    result = optimize_table(
        request, run=run, base=base, quiet=quiet, say=(lambda line: None) if quiet else say, begun=begun
    )
    return printed_table(result)


def _of_table(given: dict[str, Any], begun: Begun, *, quiet: bool) -> Printed:
    from ..apps.table.request import TableRequest

    path = needs_of_a_table(given)
    settings = {name: given[name] for name in _OF_REQUEST if name in given}
    for name in ("drop", "beside", "slices", "method"):
        if name in settings:
            settings[name] = listed_names(settings[name])
    settings["metric_headers"] = headers_of(given)
    settings["subject_to"] = tuple(given.get("subject_to") or ())
    request = TableRequest(path=path, higher_is_better=given.get("maximize"), **settings)
    return optimize_file(request, begun, run=given.get("run"), quiet=quiet)


def share_of(acceptance: str | None) -> dict[str, float | None]:
    """The option --acceptance as an argument: a share, None for no test, nothing where it was not given."""
    if acceptance is None:
        return {}
    if acceptance.strip().lower() == "none":
        return {"acceptance": None}
    try:
        return {"acceptance": float(acceptance)}
    except ValueError:
        raise ConfigError(f"--acceptance must be a share like 0.4, or none for no test, got {acceptance!r}") from None


def headers_of(given: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of a header and the environment variable with its value. A value itself would show in the list of
    processes."""
    pairs = [text.partition("=") for text in given.get("metric_header") or ()]
    for name, mark, variable in pairs:
        if not name or not mark or not variable.isidentifier():
            raise ConfigError(
                "--metric-header must look like Authorization=MY_TOKEN, the name of an environment variable behind the "
                "equals sign; what was given is not shown, since it may be the key itself"
            )
    return tuple((name, variable) for name, _, variable in pairs)


def needs_of_a_table(given: dict[str, Any]) -> Path:
    """The file of a table; raises ConfigError where the target or the metric is not named."""
    from ..apps.table.file import column_names

    path = Path(given["data"]).expanduser()
    if path.suffix == ".py":
        raise ConfigError(f"{str(path)!r} names a file but no function in it; write {path}:function")
    if "target" not in given:
        names = column_names(path, separator=given.get("separator"), encoding=given.get("encoding"))
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise ConfigError(f"name the column to predict with --target; {path.name} has: {shown}")
    if "metric" not in given:
        raise ConfigError("name the metric with --metric; `metricopt metrics` lists those of the library")
    return path


def _of_problem(given: dict[str, Any], begun: Begun, *, quiet: bool) -> Printed:
    from ..apps.table.request import checked_name, default_folder
    from ..job import optimize as optimize_model
    from ..job.problem_function import build_problem
    from ..metrics import Budget
    from .result_of_problem import printed_outcome, renamed

    spec = given["data"]
    refuse_table_options(given, _TABLE_ONLY)
    if "name" in given:
        checked_name(given["name"])
    arguments = build_problem(spec)
    arguments |= {name: given[name] for name in ("loss", "acceptance", "confidence", "seed", "device") if name in given}
    arguments |= metric_of_problem(arguments, given, spec)
    if given.get("workers", 1) > 1:
        arguments |= {"executor": "threads", "workers": given["workers"]}
    if "method" in given:
        names = listed_names(given["method"])
        arguments["method"] = names[0] if len(names) == 1 else names
    if "calls" in given or "seconds" in given:
        arguments["budget"] = Budget(calls=given.get("calls"), seconds=given.get("seconds"))
    usual = default_folder(source_of(spec), given.get("name") or arguments["metric"].name)
    outcome, folder = in_free_folder(
        lambda folder: optimize_model(**arguments, run=folder, quiet=quiet), given.get("run"), usual, begun
    )
    if "name" in given:
        outcome = renamed(outcome, given["name"], folder)
    return printed_outcome(outcome, folder)


def refuse_table_options(given: dict[str, Any], names: Sequence[str]) -> None:
    """Raise ConfigError where an option of tables, one of `names`, was given for a problem."""
    strange = [f"--{name}" for name in names if name in given]
    if strange or given["task"] != "auto":
        raise ConfigError(
            f"{', '.join(strange) or '--task'} goes with a table, but {given['data']} builds a problem; leave it out"
        )


def source_of(spec: str) -> str:
    """The file or module of `file.py:function` or `module:function`, as run folders are called by it."""
    return spec.rpartition(":")[0].rpartition(".")[2] if ".py:" not in spec else spec.rpartition(":")[0]


def in_free_folder(work: Callable[[Path], T], wanted: Path | None, usual: Path, begun: Begun) -> tuple[T, Path]:
    """Do the work in the folder that was named; else in the usual one, with a number behind it where that holds
    another run."""
    number = 1
    while True:
        folder = wanted or (usual if number == 1 else usual.with_name(f"{usual.name}-{number}"))
        begun(folder)
        try:
            return work(folder), folder
        except OtherRun:
            if wanted is not None:
                raise
            number += 1


def metric_of_problem(problem: dict[str, Any], given: dict[str, Any], spec: str) -> dict[str, Any]:
    """The metric of a problem: what the command line names, else what the function gave."""
    from ..apps.table.request import environment_headers
    from ..metrics import as_metric, constrained, limit_from_spec, metric_from_spec

    stated = {name: problem.pop(name, None) for name in ("higher_is_better", "bounds", "reads")}
    here = {"higher_is_better": given.get("maximize"), "bounds": given.get("bounds"), "reads": given.get("reads")}
    if "metric" in given:
        stated = here
    else:
        stated |= {name: value for name, value in here.items() if value is not None}
    metric = given.get("metric", problem.get("metric"))
    if metric is None:
        raise ConfigError(f"name the metric with --metric, or let {spec} return one; `metricopt metrics` lists some")
    far: dict[str, Any] = {"timeout": given.get("metric_timeout"), "retries": given.get("metric_retries")}
    if isinstance(metric, str):
        found = metric_from_spec(metric, **stated, **far, headers=environment_headers(headers_of(given)))
    else:
        found = as_metric(metric, **stated)
    limits = [limit_from_spec(text) for text in given.get("subject_to") or ()]
    return {"metric": constrained(found, *limits) if limits else found}
