"""A table in the terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from .cells import notes, sheets
from .sheet import print_sheet
from .table import Table


def print_table(table: Table, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print all sheets and the notes to `stream` (standard output)."""
    from rich.console import Console

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    for sheet in sheets(table, compact=compact):
        print_sheet(sheet, console)
    for note in notes(table, compact=compact):
        console.print(note)
