"""Do all cells of a study that are not in the store yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..._checks import at_least
from ..._errors import JobFailed
from ...runtime import Executor, ProcessExecutor, ResultStore, SerialExecutor, progress
from ..run_table import failure_store
from .cell import Cell, run_cell


@dataclass(frozen=True, kw_only=True)
class CellFailure:
    """A cell that raised, and the text of its traceback."""

    cell: Cell
    traceback: str


def run_study(cells: Iterable[Cell], store: ResultStore, *, workers: int, quiet: bool = False) -> list[CellFailure]:
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
    done = store.digests()
    todo = [cell for cell in cells if cell.key.digest not in done]
    failures = []
    with _executor(workers) as executor, progress(len(todo), "cells", quiet=quiet) as advance:
        for outcome in executor.map(run_cell, todo):
            cell = todo[outcome.index]
            if outcome.error is None:
                store.append(cell.key, outcome.result())
            else:
                failures.append(_recorded(store, cell, outcome.error))
            advance(note=f"{cell.data} {cell.network} {cell.loss}")
    return failures


def _executor(workers: int) -> Executor:
    return ProcessExecutor(at_least("workers", workers, 1), threads=1) if workers else SerialExecutor()


def _recorded(store: ResultStore, cell: Cell, error: JobFailed) -> CellFailure:
    failed = failure_store(store)
    attempt = sum(row["run"] == cell.key.digest for row in failed.rows())
    key = replace(cell.key, settings={**cell.key.settings, "attempt": attempt})
    failed.append(key, {"run": cell.key.digest, "traceback": str(error)})
    return CellFailure(cell=cell, traceback=str(error))
