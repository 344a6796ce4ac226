"""The study in the terminal and as Markdown."""

from __future__ import annotations

import sys
from typing import TextIO

from metricopt.bench.sheet import print_sheet, sheet_markdown

from .study import Study
from .wording import findings, notes, sheets


def print_study(study: Study, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print to `stream` (standard output)."""
    from rich.console import Console

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    for sheet in sheets(study, compact=compact):
        print_sheet(sheet, console)
    for line in [*findings(study), *notes(study)]:
        console.print(line)


def to_markdown(study: Study, *, compact: bool = False, level: int = 2) -> str:
    """The whole study; `compact` leaves the sentences out, for a page that has its own. Headings start at `level`."""
    parts = [] if compact else [f"{'#' * level} {study.spec.title}"]
    parts += [sheet_markdown(sheet, level=level + 1, compact=compact) for sheet in sheets(study, compact=compact)]
    for lines in ([] if compact else findings(study), notes(study)):
        if lines:
            parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"
