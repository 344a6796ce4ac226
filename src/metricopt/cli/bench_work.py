"""What the commands of `metricopt bench` share: lists of names, files that are checked first, workers, failures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .._errors import ConfigError
from .words import listed_names

if TYPE_CHECKING:
    from ..bench import Failure
    from ..runtime import ResultStore


def names(text: str | None) -> tuple[str, ...] | None:
    """The names of an option, None where it was not given.

    >>> names("f1, mcr,"), names(None)
    (('f1', 'mcr'), None)
    """
    return None if text is None else listed_names(text)


def check_before(*, files: tuple[Path | None, ...], workers: int | None) -> None:
    """What would fail after an hour of runs fails now."""
    if workers is not None and workers < 0:
        raise ConfigError(f"--workers must be 0, which runs in this process, or more; got {workers}")
    for path in files:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigError(f"cannot write {path}: give a file in a folder that exists and can be written to")


def worker_count(workers: int | None) -> int:
    """As many as were asked for, else the cores of this process, at most 2."""
    if workers is not None:
        return workers
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 2)


def report_failures(failures: Sequence[Failure[Any]], store: ResultStore, *, what: str) -> None:
    """Say on standard error what failed, with the last line of each traceback."""
    from ..bench import failure_store

    typer.echo(f"metricopt: {len(failures)} {what} failed; they are tried again the next time", err=True)
    for failure in failures:
        typer.echo(f"  {failure.run.title}: {failure.traceback.strip().splitlines()[-1]}", err=True)
    typer.echo(f"their tracebacks are in {failure_store(store).path}", err=True)
