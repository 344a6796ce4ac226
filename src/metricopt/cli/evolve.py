"""`metricopt evolve`: a loss, found for a table in a file or for a torch problem."""

from __future__ import annotations

import inspect
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .exit_codes import UNCHANGED
from .optimize import Begun, resumable
from .printed import Part, Printed, figures_of, show

_OF_REQUEST = (
    *("target", "metric", "name", "bounds", "reads", "task", "positive", "drop", "separator", "encoding", "strict"),
    *("validation", "acceptance", "confidence", "seed", "device", "loss"),
)
_TABLE_ONLY = ("target", "positive", "drop", "separator", "encoding", "validation", "width")

Preset = Annotated[str, typer.Option(help="smoke (seconds), small (minutes) or paper (hours).")]
Population = Annotated[int | None, typer.Option(help="Candidates of a generation. [default: of the preset]")]
Generations = Annotated[int | None, typer.Option(help="How many generations. [default: of the preset]")]
Width = Annotated[int | None, typer.Option(help="Of the hidden layer of a table's network, 0 for none. [default: 32]")]
Rate = Annotated[float | None, typer.Option(help="Learning rate. [default: the best for the plain loss]")]
PlainLoss = Annotated[
    str | None, typer.Option("--loss", help="The plain loss. [default: cross_entropy, or mse for numbers]")
]
Objective = Annotated[
    str | None, typer.Option(help="What constants are tuned by. [default: the loss aimed at the metric]")
]
ExecutorOption = Annotated[str, typer.Option("--executor", help="serial, processes or ray.")]
Workers = Annotated[int | None, typer.Option(help="How many at once. [default: one a core]")]
Run = Annotated[Path | None, typer.Option(help="The run folder. [default: runs/NAME-METRIC-loss]")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("evolve")(evolve)


def evolve(
    ctx: typer.Context,
    data: options.Data,
    target: options.Target = None,
    metric: options.MetricSpec = None,
    name: options.Name = None,
    maximize: options.Maximize = None,
    bounds: options.Bounds = None,
    reads: options.ReadsOption = None,
    task: options.TaskOption = "auto",
    positive: options.Positive = None,
    drop: options.Drop = None,
    separator: options.Separator = None,
    encoding: options.Encoding = None,
    strict: options.Strict = False,
    preset: Preset = "small",
    population: Population = None,
    generations: Generations = None,
    width: Width = None,
    rate: Rate = None,
    loss: PlainLoss = None,
    objective: Objective = None,
    validation: options.Validation = None,
    acceptance: options.AcceptanceShare = None,
    confidence: options.Confidence = None,
    executor: ExecutorOption = "serial",
    workers: Workers = None,
    device: options.Device = None,
    seed: options.Seed = None,
    run: Run = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
    fail_if_unchanged: options.FailIfUnchanged = False,
) -> None:
    """Find a loss that trains a network to a better metric.

    Formulas are bred, their constants tuned by gradients through training; the best one is compared with the plain loss
    on rows that nobody chose by. A table: a small network is trained on it. module:function: the function returns
    dict(model=, train=, val=, ...), the arguments of metricopt.evolve.
    """
    from ..job.problem_function import names_a_function  # torch comes with it, which --help does not need

    given = {name: value for name, value in ctx.params.items() if value is not None}
    work = _of_problem if names_a_function(data) else _of_table
    with redirect_stdout(sys.stderr):  # what a user's code prints must not mix with the result
        result = resumable(ctx, lambda begun: work(given, begun, quiet=quiet or as_json))
    show(result, as_json=as_json)
    if fail_if_unchanged and not result.accepted:
        raise typer.Exit(UNCHANGED)


def _settings(given: dict[str, Any]) -> Any:
    from ..evolution import PRESETS

    chosen = PRESETS[given["preset"]]
    return replace(chosen, **{name: given[name] for name in ("population", "generations") if name in given})


def _of_table(given: dict[str, Any], begun: Begun, *, quiet: bool) -> Printed:
    from ..apps.table.loss_search import evolve_on_table
    from ..apps.table.request import TableRequest, default_folder
    from .optimize import in_free_folder, needs_of_a_table
    from .words import listed_names

    path = needs_of_a_table(given)
    settings = {name: given[name] for name in _OF_REQUEST if name in given}
    if "drop" in settings:
        settings["drop"] = listed_names(settings["drop"])
    settings = {"validation": 0.4, **settings, "test": 0.0}
    request = TableRequest(path=path, higher_is_better=given.get("maximize"), **settings)

    def say(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    usual = default_folder(str(path), request.name or request.metric)
    found, folder = in_free_folder(
        lambda folder: evolve_on_table(
            request,
            settings=_settings(given),
            width=given.get("width", 32),
            rate=given.get("rate"),
            objective=given.get("objective"),
            executor=given["executor"],
            workers=given.get("workers"),
            run=folder,
            quiet=quiet,
            say=say,
        ),
        given.get("run"),
        usual.with_name(f"{usual.name}-loss"),
        begun,
    )
    return printed_evolved(found, folder)


def _of_problem(given: dict[str, Any], begun: Begun, *, quiet: bool) -> Printed:
    from ..apps.table.request import default_folder
    from ..job import evolve as evolve_loss
    from ..job.problem_function import build_problem
    from .optimize import in_free_folder, metric_of_problem, refuse_table_options, source_of

    spec = given["data"]
    refuse_table_options(given, _TABLE_ONLY)
    known = inspect.signature(evolve_loss).parameters
    arguments = {name: value for name, value in build_problem(spec, of=evolve_loss).items() if name in known}
    names = ("name", "loss", "objective", "rate", "acceptance", "confidence", "seed", "device", "executor", "workers")
    arguments |= {name: given[name] for name in names if name in given}
    arguments |= metric_of_problem(arguments, given, spec)
    arguments.setdefault("settings", _settings(given))
    usual = default_folder(source_of(spec), given.get("name") or arguments["metric"].name)
    found, folder = in_free_folder(
        lambda folder: evolve_loss(**arguments, run=folder, quiet=quiet),
        given.get("run"),
        usual.with_name(f"{usual.name}-loss"),
        begun,
    )
    return printed_evolved(found, folder)


def printed_evolved(found: Any, folder: Path, *, report: Path | None = None) -> Printed:
    """What is shown of a finished search for losses.

    Args:
        found: an `Evolved`.
        folder: of its run.
        report: where the report is, if not in the run folder.
    """
    search = found.report_data.loss_search
    page = report or folder / "report.html"
    part = Part.of(found)
    best = "higher" if found.higher_is_better else "lower"
    sign = "Accepted" if found.accepted else f"Not accepted, {search.plain} stays"
    return Printed(
        title=f"{found.metric}, {best} is better; before: {search.plain}, after: the evolved loss",
        parts=(part,),
        higher_is_better=found.higher_is_better,
        confidence=found.confidence,
        accepted=found.accepted,
        lines=(
            f"Loss:     {search.formula}",
            f"In short: {search.short}",
            f"{sign}: {found.reason}",
            f"{found.calls} metric calls, {found.seconds:.1f} s.",
            "",
            f"Run folder: {folder}",
            f"Use it:     metricopt.SymbolicLoss.load({str(folder / 'loss.json')!r}), or --loss {folder / 'loss.json'}",
            f"Report:     {page}",
        ),
        plain={
            "metric": found.metric,
            "higher_is_better": found.higher_is_better,
            "formula": str(found.best.formula),
            "latex": search.latex,
            "short": search.short,
            "plain_loss": search.plain,
            "accepted": found.accepted,
            "reason": found.reason,
            "confidence": found.confidence,
            "acceptance": figures_of(part, found.higher_is_better),
            "expected_gain": found.expected_gain,
            "front": [{"size": one.size, "value": one.value, "formula": one.formula} for one in found.front],
            "calls": found.calls,
            "seconds": found.seconds,
            "run": str(folder),
            "loss": str(folder / "loss.json"),
            "report": str(page),
        },
    )
