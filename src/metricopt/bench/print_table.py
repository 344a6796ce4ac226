"""A table in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from .cells import Sheet, notes, sheets
from .table import Table

if TYPE_CHECKING:
    from rich.console import Console


def print_table(table: Table, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print all sheets and the notes to `stream` (standard output). A sheet is never squeezed: long lines wrap."""
    from rich.console import Console

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    for sheet in sheets(table, compact=compact):
        _print_sheet(sheet, console)
    for note in notes(table, compact=compact):
        console.print(note)


def _print_sheet(sheet: Sheet, console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid

    grid = Grid(title=sheet.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(sheet.header):
        grid.add_column(name, justify="right" if position else "left", no_wrap=True)
    for family, rows in sheet.groups:
        grid.add_row(family, style="dim italic")
        for row in rows:
            grid.add_row(*row)
    terminal = console.width
    try:
        natural = console.measure(grid, options=console.options.update(max_width=1000)).maximum
        console.width = max(terminal, natural, len(sheet.title))
        console.print(grid, crop=False)
    finally:
        console.width = terminal
