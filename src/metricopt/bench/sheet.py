"""Grids of text, as the terminal and as Markdown show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A titled grid of text. Rows come in groups with a heading each, "" for none; a header may have two lines.

    >>> print(sheet_markdown(Sheet(title="t", header=("a", "b"), groups=(("", (("1", "2"),)),)), level=2, compact=True))
    **t**
    <BLANKLINE>
    | a | b |
    | --- | ---: |
    | 1 | 2 |
    """

    title: str
    header: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def sheet_markdown(sheet: Sheet, *, level: int, compact: bool) -> str:
    """The sheet below a heading of `level`, or below a bold line where it is compact."""
    title = f"**{sheet.title}**" if compact else f"{'#' * level} {sheet.title}"
    lines = [_line(sheet.header), _line(["---", *["---:"] * (len(sheet.header) - 1)])]
    for heading, rows in sheet.groups:
        if heading:
            lines.append(_line([f"*{heading}*", *[""] * (len(sheet.header) - 1)]))
        lines += [_line(row) for row in rows]
    return f"{title}\n\n" + "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def print_sheet(sheet: Sheet, console: Console) -> None:
    """Print a sheet. It is never squeezed: long lines wrap."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    grid = Table(title=sheet.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(sheet.header):
        grid.add_column(name, justify="right" if position else "left", no_wrap=True)
    for heading, rows in sheet.groups:
        if heading:
            grid.add_row(heading, style="dim italic")
        for row in rows:
            grid.add_row(*row)
    terminal = console.width
    try:
        natural = console.measure(grid, options=console.options.update(max_width=1000)).maximum
        console.width = max(terminal, natural, len(sheet.title))
        console.print(grid, crop=False)
    finally:
        console.width = terminal
