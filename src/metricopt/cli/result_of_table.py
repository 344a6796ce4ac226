"""A finished job on a table, as it is printed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ..apps.table.job import MODEL, REPORT, TableResult
from ..apps.table.summary import Figures, TableSummary
from .printed import Part, Printed, figures_of, verdict_of_test
from .words import as_command


def printed_table(result: TableResult, *, report: Path | None = None) -> Printed:
    """What is shown of it.

    Args:
        result: of the job.
        report: where the report is, if not in the run folder.
    """
    summary, folder = result.summary, result.folder
    page = report or folder / REPORT
    acceptance = _part("acceptance" if summary.verified else "search, which flatters", summary, summary.acceptance)
    test = None if summary.test is None else _part("test", summary, summary.test)
    best = "higher" if summary.higher_is_better else "lower"
    of = f"{summary.target!r}" if summary.positive is None else f"{summary.target!r} = {summary.positive!r}"
    asked = f"{summary.calls} metric calls" + (f" and {summary.test_calls} on the test rows" if summary.test else "")
    lines = [
        f"{'Accepted' if summary.accepted else 'Not accepted, the model stays as it was'}: {summary.reason}",
        f"Proposed by: {summary.proposal}." if summary.proposal else "",
        f"The metric rewards {summary.reading}." if summary.reading else "",
        (test and verdict_of_test(test, summary.accepted, summary.higher_is_better)) or "",
        f"{asked}, {summary.seconds:.1f} s{'; finished before, nothing was computed again' if result.again else ''}.",
    ]
    where = (
        f"Run folder: {folder}",
        f"Use it:     {as_command(['predict', str(folder), 'NEW.csv', '--out', 'predictions.csv'])}",
        f"Report:     {page}",
    )
    return Printed(
        title=f"{summary.metric} of {of}, {best} is better",
        parts=tuple(part for part in (test, acceptance) if part is not None),
        higher_is_better=summary.higher_is_better,
        confidence=summary.confidence,
        accepted=summary.accepted,
        lines=(*filter(None, lines), "", *where),
        terms=summary.terms,
        plain=_plain(summary, folder, page, acceptance, test) | {"again": result.again},
    )


def _part(name: str, summary: TableSummary, figures: Figures) -> Part:
    figures_shown = asdict(figures)
    if not summary.verified and figures is summary.acceptance:
        figures_shown |= {"low": None, "high": None}
    return Part(name=name, accepted=summary.accepted, **figures_shown)


def _plain(summary: TableSummary, folder: Path, page: Path, acceptance: Part, test: Part | None) -> dict[str, object]:
    return {
        **asdict(summary),
        "acceptance": figures_of(acceptance, summary.higher_is_better),
        "test": figures_of(test, summary.higher_is_better),
        "run": str(folder),
        "report": str(page),
        "model": str(folder / MODEL),
    }
