"""The one-call job on a table in a file: train a network, tune it toward the metric, measure it on rows nobody saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import nn

from ..._errors import CheckpointError, ConfigError, DataError
from ...asking import AskOnce, ask_in_turn
from ...job.acceptance import paired_test, planned_resamples
from ...job.one_call import optimize
from ...job.outcome import Outcome
from ...job.terms import terms_of
from ...metrics import Budget, Metric, as_judged
from ...report import Histogram, OnTestRows, ReportData, Term, write
from ...runtime import MetricCache, RunFolder, progress, read_identity, write_atomically
from ...workload import Examples
from .beside import columns_beside
from .file import TableFile, find_column, read_table
from .metric import table_metric
from .metric_name import called
from .model import TableModel, TargetScale
from .network import examples, scores_of, trained_model, turned
from .parts import TableParts, part_rows
from .request import TableRequest, default_folder
from .row_names import note_on, row_names
from .slices import clusters_wanted, table_slices
from .summary import Figures, TableSummary, is_finished
from .target import Target, settle_target

MODEL, TRAINED, SEARCH, DATA, REPORT = (
    "model.safetensors",
    "trained.safetensors",
    "search",
    "report_data.json",
    "report.html",
)

Say = Callable[[str], None]


@final
@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is settled before the search: the columns to predict from, the target, the rows, the network, the metric."""

    request: TableRequest
    frame: Any = field(repr=False)
    target: Target
    parts: TableParts
    notes: tuple[str, ...]
    model: TableModel
    network: nn.Sequential
    metric: Metric

    def rows(self, part: str) -> Examples:
        return examples(self.model, self.frame, self.target, getattr(self.parts, part))


@final
@dataclass(frozen=True, kw_only=True)
class TableResult:
    """Where a job on a table was kept, and what it has to say; `again` where it had been finished before."""

    folder: Path
    summary: TableSummary
    again: bool


def optimize_table(
    request: TableRequest,
    *,
    run: Path | None = None,
    base: Path | None = None,
    quiet: bool = True,
    say: Say = lambda line: None,
    begun: Callable[[Path], None] = lambda folder: None,
) -> TableResult:
    """Train a network on a table, tune it toward the metric, and keep everything in a folder.

    Stopped at any moment and called again with the same request, it goes on where it was; finished, it gives the same
    result without work.

    Args:
        request: what is wanted.
        run: the folder; None takes `base`, with a number behind it where that holds another run.
        base: None for `runs/NAME-METRIC`.
        quiet: no progress bars.
        say: is told, a sentence each, what is being done.
        begun: is told the folder as soon as something is kept in it.

    Raises:
        DataError: the file or its target cannot be used.
        ConfigError: a choice cannot work.
        MetricError: the metric failed.
        RunLocked: another process holds the folder.
    """
    file = read_table(
        request.path, separator=request.separator, encoding=request.encoding, strict=request.strict, quiet=quiet
    )
    identity = request.identity(file.digest)
    usual = base or default_folder(str(request.path), request.name or request.metric)
    folder = run or _free_folder(usual, identity)
    if is_finished(folder) and read_identity(folder) == identity:
        return TableResult(folder=folder, summary=TableSummary.load(folder), again=True)
    frame, target, notes = settled(request, file)
    parts = part_rows(target, request)
    wanted = table_metric(request, target, parts)
    notes = (*notes, target.told(), parts.told(), *wanted.notes)
    for note in notes:
        say(note)
    if wanted.first_call is not None and _is_free(folder):  # a metric that fails leaves no folder
        wanted.first_call.make()
    with RunFolder(folder, identity) as held:
        begun(folder)
        if wanted.first_call is not None:
            wanted.first_call.keep(held.cache)
        model = trained_model(folder / TRAINED, frame, target, parts, seed=request.seed, quiet=quiet)
        job = _Job(
            request=request,
            frame=frame,
            target=target,
            parts=parts,
            notes=notes,
            model=model,
            network=turned(model.network, target),
            metric=wanted.metric,
        )
        outcome = _searched(job, folder / SEARCH, quiet=quiet)
        summary = _summary(job, outcome, *_tested(job, outcome, held.cache, quiet=quiet))
        _keep(folder, job, outcome, summary)
    return TableResult(folder=folder, summary=summary, again=False)


def _free_folder(base: Path, identity: Mapping[str, Any]) -> Path:
    """`base`, or the first one with a number behind its name that is free or holds this very run."""
    number = 1
    while True:
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        if _is_free(folder):
            return folder
        try:
            if read_identity(folder) == identity:
                return folder
        except CheckpointError:  # something else; it stays as it is
            pass
        number += 1


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def settled(request: TableRequest, file: TableFile) -> tuple[Any, Target, tuple[str, ...]]:
    """The columns to predict from, the target, and what there is to say about them."""
    names, notes = list(file.frame.columns), list(file.notes)
    find_column(request.target, names, "the target", request.path)
    for name in request.drop:
        find_column(name, names, "the column to drop", request.path)
    for name in request.beside:
        find_column(name, names, "the column that the metric is told", request.path)
    groups = () if clusters_wanted(request.slices) else request.slices
    for name in groups:
        find_column(name, names, "the column of --slices", request.path)
    target = settle_target(file.frame[request.target], request.target, task=request.task, positive=request.positive)
    if not target.kept.all():
        notes.append(f"{int((~target.kept).sum())} of {len(target.kept)} rows have no target and are left out.")
    inputs = [name for name in names if name != request.target and name not in request.drop]
    hidden = [name for name in groups if name not in inputs]
    if hidden:
        raise ConfigError(
            f"--slices names {hidden[0]!r}, which the network does not read; slices are told from what it reads. A "
            "column that the metric alone is told goes with --beside"
        )
    if not inputs:
        raise DataError(f"{request.path.name} has no column to predict {request.target!r} from")
    _refuse_infinite(file.frame, (*inputs, *request.beside))
    kept = file.frame.loc[target.kept].reset_index(drop=True)
    beside, told = columns_beside(kept, request.beside)
    frame = kept[inputs]
    return frame, replace(target, beside=beside), (*notes, *note_on(row_names(frame)), *told)


def _refuse_infinite(frame: Any, names: Sequence[str]) -> None:
    """Infinities anywhere in the table, before a network is trained on a part of it."""
    for name in names:
        if frame[name].dtype.kind == "f":
            infinite = np.isinf(frame[name].to_numpy())
            if infinite.any():
                raise DataError(
                    f"column {name!r} holds infinity in {int(infinite.sum())} rows, the first one in line "
                    f"{int(infinite.argmax()) + 2}; replace it by a finite number, or leave the cell empty"
                )


def _searched(job: _Job, folder: Path, *, quiet: bool) -> Outcome:
    request, train = job.request, job.rows("train")
    return optimize(
        job.network,
        metric=job.metric,
        train=train,
        val=job.rows("search"),
        acceptance=None if request.acceptance is None else job.rows("acceptance"),
        loss=request.loss or ("mse" if job.target.labels is None else "cross_entropy"),
        method=request.method[0] if len(request.method) == 1 else request.method,
        budget=request.budget,
        confidence=request.confidence,
        device=request.device,
        seed=request.seed,
        run=folder,
        class_names=job.target.class_names,
        slices=table_slices(request.slices, job.model.encoder, train.inputs),
        executor="threads" if request.workers > 1 else "serial",
        workers=request.workers,
        quiet=quiet,
    )


def _tested(
    job: _Job, outcome: Outcome, cache: MetricCache, *, quiet: bool
) -> tuple[Figures | None, int, tuple[Term, ...]]:
    """The figures on the rows that nobody has seen so far, how many metric calls they took, and the terms there."""
    if len(job.parts.test) == 0:
        return None, 0, outcome.terms
    part, resamples, judged = job.rows("test"), planned_resamples(job.request.calls), as_judged(job.metric)
    before = scores_of(job.network, part.inputs)
    after = scores_of(outcome.model.eval(), part.inputs) if outcome.accepted else before
    with progress(2 + 2 * resamples, "test rows", quiet=quiet or not outcome.accepted) as advance:
        ask = AskOnce(ask_in_turn, cache, advance)
        verdict = paired_test(
            judged,
            before,
            after,
            part.targets,
            judged_by=part.judged_by,
            resamples=resamples,
            confidence=job.request.confidence,
            seed=job.request.seed,
            rate=lambda questions: list(ask(judged, questions, Budget().start())),
        )
    figures = Figures(rows=len(part), before=verdict.before, after=verdict.after, low=verdict.low, high=verdict.high)
    return figures, verdict.calls, terms_of(judged, before, after, part.judged_by, confidence=job.request.confidence)


def _summary(
    job: _Job, outcome: Outcome, test: Figures | None, test_calls: int, terms: tuple[Term, ...]
) -> TableSummary:
    low, high = outcome.interval or (0.0, 0.0)
    reading = outcome.reading
    return TableSummary(
        source=job.request.path.name,
        target=job.target.name,
        task=job.target.task,
        classes=job.target.class_names or (),
        positive=job.target.positive,
        metric=job.request.name or called(job.request.metric, outcome.metric),
        higher_is_better=outcome.higher_is_better,
        accepted=outcome.accepted,
        reason=outcome.reason,
        proposal=next((stage.title for stage in outcome.report_data.stages if stage.chosen), None),
        confidence=outcome.confidence,
        acceptance=Figures(
            rows=len(job.parts.acceptance if outcome.interval else job.parts.search),
            before=outcome.before,
            after=outcome.after,
            low=low,
            high=high,
        ),
        test=test,
        calls=outcome.calls,
        test_calls=test_calls,
        seconds=outcome.seconds,
        notes=job.notes,
        terms=terms,
        verified=outcome.interval is not None,
        reading=str(reading.named(job.target.class_names or ())) if reading and reading.parts else "",
    )


def _keep(folder: Path, job: _Job, outcome: Outcome, summary: TableSummary) -> None:
    """Write the model, the report and the report, and last the summary: a folder with a summary is complete."""
    network = turned(outcome.model.eval(), job.target)
    replace(job.model, network=network).save(folder / MODEL)
    report_data = _told(outcome.report_data, job, summary)
    write_atomically(folder / DATA, report_data.to_json().encode())
    write(report_data, folder / REPORT)
    summary.save(folder)


def _told(report_data: ReportData, job: _Job, summary: TableSummary) -> ReportData:
    """The data of the report of the search with what is known of the table and the test rows in front of its facts."""
    facts = {"Table": f"{summary.source}, {job.target.told()}"}
    if summary.test is not None:
        test = summary.test
        change = f"{test.before:.4g}, the model stayed as it was"
        if summary.accepted:
            change = f"{test.before:.4g} to {test.after:.4g}, gain {test.low:+.4g} to {test.high:+.4g}"
        facts["Test rows"] = f"{test.rows:,} that nobody saw before: {change}"
    return replace(
        report_data,
        title=f"{job.target.name} by {summary.metric}",
        histogram=_in_units(report_data.histogram, job),
        metric=summary.metric,
        facts=facts | dict(report_data.facts),
        test=_on_test_rows(summary),
    )


def _in_units(histogram: Histogram | None, job: _Job) -> Histogram | None:
    """Errors of a regression in units of its column; the network gives standardised numbers."""
    scale = job.model.target
    if histogram is None or not isinstance(scale, TargetScale):
        return histogram
    return replace(
        histogram,
        title=f"{histogram.title}, {job.target.name}",
        edges=tuple(edge * scale.spread for edge in histogram.edges),
    )


def _on_test_rows(summary: TableSummary) -> OnTestRows | None:
    test = summary.test
    if test is None:
        return None
    low, high = (test.low, test.high) if summary.accepted else (None, None)
    return OnTestRows(rows=test.rows, before=test.before, after=test.after, low=low, high=high, terms=summary.terms)
