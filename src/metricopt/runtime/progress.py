"""A progress bar with the time that remains; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from .._checks import at_least


class Advance(Protocol):
    """Tell the bar that `steps` more are done, and optionally what is going on now."""

    def __call__(self, steps: int = 1, note: str | None = None) -> None: ...


@contextmanager
def progress(total: int, description: str, *, quiet: bool = False, stream: TextIO | None = None) -> Iterator[Advance]:
    """A bar on `stream` (standard error), yielded as a function that advances it.

    Args:
        total: number of steps.
        description: what is being done, in a few words.
        quiet: draw nothing.
        stream: where to; anything that is not a terminal gets no bar, so logs stay readable.

    >>> with progress(3, "seeds", quiet=True) as advance:
    ...     for seed in range(3):
    ...         advance(note=f"seed {seed}")
    """
    at_least("total", total, 0)
    out = sys.stderr if stream is None else stream
    if quiet or not out.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(file=out)) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int = 1, note: str | None = None) -> None:
            bar.advance(task, steps)
            if note is not None:
                bar.update(task, note=note)

        yield advance


def _silent(steps: int = 1, note: str | None = None) -> None:
    del steps, note
