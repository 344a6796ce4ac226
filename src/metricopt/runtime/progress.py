"""A progress bar with the time that remains; silent where nobody watches."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, TextIO

from .._checks import at_least

#: Seconds between two drawings in a notebook.
_REDRAWN = 0.2


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
        stream: where to; anything that is not a terminal or a notebook gets no bar, so logs stay readable.

    >>> with progress(3, "seeds", quiet=True) as advance:
    ...     for seed in range(3):
    ...         advance(note=f"seed {seed}")
    """
    at_least("total", total, 0)
    if stream is None and not quiet and _in_notebook():
        with _notebook_bar(total, description) as advance:
            yield advance
        return
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


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter; nothing is imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


@contextmanager
def _notebook_bar(total: int, description: str) -> Iterator[Advance]:
    """A bar below the cell, drawn anew a few times a second; where it ended stays."""
    shell: Any = import_module("IPython.display")
    began = drawn = time.monotonic()
    done, said = 0, ""

    def shown() -> Any:
        spent = time.monotonic() - began
        left = f", {spent / done * (total - done):.0f} s left" if 0 < done < total else ""
        told = html.escape(f"{description} {done}/{total} {said}, {spent:.0f} s{left}".replace(" ,", ","))
        return shell.HTML(f'<progress value="{done}" max="{max(total, 1)}"></progress> {told}')

    handle = shell.display(shown(), display_id=True)

    def advance(steps: int = 1, note: str | None = None) -> None:
        nonlocal done, said, drawn
        done, said = done + steps, said if note is None else note
        if time.monotonic() - drawn > _REDRAWN:
            drawn = time.monotonic()
            handle.update(shown())

    try:
        yield advance
    finally:
        handle.update(shown())


def _silent(steps: int = 1, note: str | None = None) -> None:
    del steps, note
