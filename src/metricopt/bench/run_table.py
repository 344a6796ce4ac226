"""Do all runs of a table that are not in the store yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from ..runtime import ResultStore
from .kept_rows import Failure, Job, fill
from .run import Run
from .run_one import prepare_run, run_one


def no_setup() -> None:
    """Everything that the runs need is in the package."""


def run_table(
    runs: Iterable[Run],
    store: ResultStore,
    *,
    workers: int,
    on: str = "processes",
    quiet: bool = False,
    setup: Callable[[], None] = no_setup,
) -> list[Failure[Run]]:
    """`fill` for the runs of a table, whose networks are trained ahead of them.

    Args:
        setup: called in each worker before a run, to register methods or references that the package does not have.
    """
    setup()
    perform, prepare = partial(_after, setup, run_one), partial(_after, setup, prepare_run)
    return fill(store, runs, perform, workers=workers, on=on, quiet=quiet, jobs=partial(_ahead, perform, prepare))


def _after(setup: Callable[[], None], action: Callable[[Run], Any], run: Run) -> Any:
    setup()
    return action(run)


def _ahead(perform: Callable[[Run], Any], prepare: Callable[[Run], Any], runs: list[Run]) -> Iterator[Job[Run]]:
    """Every run, and one job per task and seed that trains its network a task ahead of its runs.

    Without it all workers would come to a new task at the same time and train the same network.
    """
    groups: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.data, run.sampler, run.seed), []).append(run)
    ordered = list(groups.values())
    for position, group in enumerate(ordered):
        if position == 0:
            yield prepare, group[0], False
        if position + 1 < len(ordered):
            yield prepare, ordered[position + 1][0], False
        for run in group:
            yield perform, run, True
