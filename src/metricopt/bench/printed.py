"""A table in the terminal, as Markdown, and as a block of a larger file that is rewritten in place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from .._errors import ConfigError
from ..runtime import write_atomically
from .cells import notes, sheets
from .sheet import print_sheet, sheet_markdown
from .table import Table


def print_table(table: Table, *, compact: bool = False, stream: TextIO | None = None) -> None:
    """Print all sheets and the notes to `stream` (standard output)."""
    from rich.console import Console

    console = Console(file=sys.stdout if stream is None else stream, highlight=False, markup=False)
    for sheet in sheets(table, compact=compact):
        print_sheet(sheet, console)
    for note in notes(table, compact=compact):
        console.print(note)


def to_markdown(table: Table, *, compact: bool = False, level: int = 2) -> str:
    """The whole table; `compact` gives one small grid per task. Headings start at `level`."""
    head = [] if compact else [f"{'#' * level} {table.spec.title}"]
    body = [sheet_markdown(sheet, level=level + 1, compact=compact) for sheet in sheets(table, compact=compact)]
    return "\n\n".join([*head, *body, "\n".join(f"- {note}" for note in notes(table, compact=compact))]) + "\n"


def rewrite_block(path: Path, block: str, text: str) -> bool:
    """Put `text` between the two comments that mark `block` in the file at `path`.

    The marks are `<!-- metricopt: BLOCK -->` and `<!-- metricopt: end of BLOCK -->`.

    Returns: whether the file changed.

    Raises: ConfigError where the file is missing, or does not hold both marks once, in this order.
    """
    begin, end = f"<!-- metricopt: {block} -->", f"<!-- metricopt: end of {block} -->"
    try:
        old = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}; give a file that holds {begin} and {end}") from error
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise ConfigError(
            f"{path} must hold {begin} and, below it, {end}, once each; it holds them {old.count(begin)} and "
            f"{old.count(end)} times. Put both on lines of their own where the table is to stand"
        )
    head, rest = old.split(begin)
    tail = rest.split(end)[1]
    new = f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}"
    if new != old:
        write_atomically(path, new.encode())
    return new != old
