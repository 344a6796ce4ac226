"""Do all cells of a study that are not in the store yet."""

from __future__ import annotations

from collections.abc import Iterable

from metricopt.bench.kept_rows import Failure, executor, keep, missing
from metricopt.runtime import ResultStore, progress

from .cell import Cell, run_cell


def run_study(cells: Iterable[Cell], store: ResultStore, *, workers: int, quiet: bool = False) -> list[Failure[Cell]]:
    """Do the cells that `store` does not hold and append each row as soon as it is there.

    Stopping at any moment loses the cells in flight and nothing else. A cell that fails is written to the store of
    failures beside the results; it is tried again the next time.

    Args:
        cells: in the order in which they are begun.
        store: where rows go.
        workers: processes of one thread each; 0 runs everything here.

    Returns:
        the failures of this call.
    """
    todo = missing(cells, store)
    failures: list[Failure[Cell]] = []
    with executor(workers) as pool, progress(len(todo), "cells", quiet=quiet) as advance:
        for outcome in pool.map(run_cell, todo):
            cell = todo[outcome.index]
            failure = keep(store, cell, outcome)
            failures += [] if failure is None else [failure]
            advance(note=cell.title)
    return failures
