"""A table in the terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from .cells import Sheet, compact_sheets, notes, sheets
from .table import Table


def print_table(table: Table, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print all sheets and the notes to `stream` (standard output)."""
    from rich.console import Console

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    for sheet in compact_sheets(table) if compact else sheets(table):
        _print_sheet(sheet, console)
    for note in notes(table):
        console.print(note)


def _print_sheet(sheet: Sheet, console: object) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    assert isinstance(console, Console)
    grid = Grid(title=sheet.title, title_justify="left", title_style="bold")
    for position, name in enumerate(sheet.header):
        grid.add_column(name, justify="right" if position else "left", overflow="fold")
    for family, rows in sheet.groups:
        grid.add_section()
        grid.add_row(family, style="dim")
        for row in rows:
            grid.add_row(*row)
    console.print(grid)
