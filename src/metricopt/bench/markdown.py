"""A table as Markdown, and as a block of a larger file that is rewritten in place."""

from __future__ import annotations

from pathlib import Path

from .._errors import ConfigError
from ..runtime import write_atomically
from .cells import notes, sheets
from .sheet import sheet_markdown
from .table import Table


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
