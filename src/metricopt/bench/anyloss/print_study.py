"""The study in the terminal and as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from .study import Study
from .wording import Grid, findings, grids, notes


def print_study(study: Study, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print to `stream` (standard output). A grid is never squeezed: long lines wrap."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    terminal = console.width
    for grid in grids(study, compact=compact):
        table = Table(title=grid.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for position, name in enumerate(grid.header):
            table.add_column(name, justify="right" if position else "left", no_wrap=True)
        for row in grid.rows:
            table.add_row(*row)
        natural = console.measure(table, options=console.options.update(max_width=1000)).maximum
        console.width = max(terminal, natural, len(grid.title))
        console.print(table, crop=False)
        console.width = terminal
    for line in [*findings(study), *notes(study)]:
        console.print(line)


def to_markdown(study: Study, *, compact: bool = False, level: int = 2) -> str:
    """The whole study; `compact` is for a page that has other things to say. Headings start at `level`."""
    parts = [] if compact else [f"{'#' * level} {study.spec.title}"]
    parts += [_grid(grid, level + 1, compact=compact) for grid in grids(study, compact=compact)]
    for lines in (findings(study), notes(study)):
        if lines:
            parts.append("\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def _grid(grid: Grid, level: int, *, compact: bool) -> str:
    title = f"**{grid.title}**" if compact else f"{'#' * level} {grid.title}"
    rule = ["---", *["---:"] * (len(grid.header) - 1)]
    return f"{title}\n\n" + "\n".join(_line(cells) for cells in (grid.header, rule, *grid.rows))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
