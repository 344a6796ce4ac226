"""Do the runs of the arena that a store does not hold yet."""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime import ResultStore, progress
from ..kept_rows import Failure, executor, keep, missing
from .run import ArenaRun, perform


def run_arena(
    runs: Iterable[ArenaRun], store: ResultStore, *, workers: int, on: str = "processes", quiet: bool = False
) -> list[Failure[ArenaRun]]:
    """Append each row as soon as its run is over; stopping at any moment loses the runs in flight and nothing else.

    Args:
        runs: in the order in which they are begun; those on the same model follow each other.
        store: where rows go.
        workers: how many runs at once, each with one thread; 0 runs everything here.
        on: the executor, "processes" or "ray".
        quiet: no progress bar.
    """
    todo = missing(runs, store)
    failures: list[Failure[ArenaRun]] = []
    with executor(workers, on) as pool, progress(len(todo), "runs", quiet=quiet) as advance:
        for outcome in pool.map(perform, todo):
            failure = keep(store, todo[outcome.index], outcome)
            failures += [] if failure is None else [failure]
            advance(note=todo[outcome.index].title)
    return failures
