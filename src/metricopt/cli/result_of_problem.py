"""A finished run of `metricopt.optimize`, as it is printed."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from ..job import Outcome
from .printed import Part, Printed, figures_of


def renamed(outcome: Outcome, name: str, folder: Path) -> Outcome:
    """The same with another name of its metric, kept in its run folder; the search knew the metric by its own name."""
    title = outcome.report_data.title.removesuffix(outcome.metric) + name
    outcome = replace(outcome, metric=name, report_data=replace(outcome.report_data, metric=name, title=title))
    outcome.save(folder)
    return outcome


def printed_outcome(outcome: Outcome, folder: Path, *, report: Path | None = None) -> Printed:
    """What is shown of it.

    Args:
        outcome: of `metricopt.optimize`.
        folder: of its run.
        report: where the report is, if not in the run folder.
    """
    page = report or folder / "report.html"
    part = Part.of(outcome)
    proposal = next((stage.title for stage in outcome.report_data.stages if stage.chosen), None)
    best = "higher" if outcome.higher_is_better else "lower"
    reading = outcome.reading
    return Printed(
        title=f"{outcome.metric}, {best} is better",
        parts=(part,),
        higher_is_better=outcome.higher_is_better,
        confidence=outcome.confidence,
        accepted=outcome.accepted,
        lines=(
            f"{'Accepted' if outcome.accepted else 'Not accepted, the model stays as it was'}: {outcome.reason}",
            *([f"Proposed by: {proposal}."] if proposal else []),
            *([f"The metric rewards {reading}."] if reading and reading.parts else []),
            f"{outcome.calls} metric calls, {outcome.seconds:.1f} s.",
            "",
            f"Run folder: {folder}",
            f"Use it:     metricopt.load({str(folder)!r}, model=your_model).model",
            f"Report:     {page}",
        ),
        terms=outcome.terms,
        plain={
            "metric": outcome.metric,
            "higher_is_better": outcome.higher_is_better,
            "accepted": outcome.accepted,
            "reason": outcome.reason,
            "proposal": proposal,
            "reading": "" if reading is None else str(reading),
            "confidence": outcome.confidence,
            "acceptance": figures_of(part, outcome.higher_is_better),
            "test": None,
            "terms": [asdict(one) for one in outcome.terms],
            "calls": outcome.calls,
            "seconds": outcome.seconds,
            "run": str(folder),
            "report": str(page),
            "model": str(folder / "model.safetensors"),
        },
    )
