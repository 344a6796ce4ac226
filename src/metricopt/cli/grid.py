"""A table on the terminal whose words stay whole: it is made to fit the width, and is wider where that is not
enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        name: its head.
        number: stands right, and is never wrapped; whole: is never wrapped.
        spare: is left out where the width does not hold all columns, the largest first; 0 stays.
    """

    name: str
    number: bool = False
    whole: bool = False
    spare: int = 0


def print_grid(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, plain: bool = False) -> None:
    """Print a table to standard output: text wraps between words, a word or a number is never cut.

    Args:
        columns: the heads.
        rows: a cell for each column.
        plain: a line below the head in place of a frame.
    """
    from rich.box import HEAVY_HEAD, SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    width = Console().width
    kept = list(range(len(columns)))
    cells = [[column.name, *(row[at] for row in rows)] for at, column in enumerate(columns)]
    least = [_widest(cells[at], whole=column.number or column.whole) for at, column in enumerate(columns)]
    while _framed(least[at] for at in kept) > width and any(columns[at].spare for at in kept):
        kept.remove(max(kept, key=lambda at: columns[at].spare))
    widths = _shared([least[at] for at in kept], [cells[at] for at in kept], width)
    table = Table(box=SIMPLE_HEAD if plain else HEAVY_HEAD)
    for at, size in zip(kept, widths, strict=True):
        table.add_column(columns[at].name, justify="right" if columns[at].number else "left", width=size)
    for row in rows:
        table.add_row(*(row[at] for at in kept))
    Console(highlight=False, markup=False, width=max(width, _framed(widths))).print(table)


def _widest(cells: Sequence[str], *, whole: bool) -> int:
    """The longest line, or the longest word where lines may wrap."""
    return max(len(part) for cell in cells for part in (cell.splitlines() if whole else cell.split()) or [""])


def _framed(widths: Iterable[int]) -> int:
    """With a blank on both sides of each cell, and a line between cells."""
    sizes = list(widths)
    return sum(sizes) + 3 * len(sizes) + 1


def _shared(least: Sequence[int], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Widths from the least ones up: what is left goes, bit by bit, to the column with most text for its width."""
    widths, most = list(least), [_widest(column, whole=True) for column in cells]
    text = [sum(map(len, column)) for column in cells]
    while _framed(widths) < width and (able := [at for at, size in enumerate(widths) if size < most[at]]):
        widths[max(able, key=lambda at: text[at] / widths[at])] += 1
    return widths
