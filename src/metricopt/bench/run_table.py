"""Do all runs of a table that are not in the store yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..runtime import ResultStore, progress
from .kept_rows import Failure, executor, keep, missing
from .run import Run
from .run_one import prepare_run, run_one

Job = tuple[Callable[[Run], Any], Run, Callable[[], None]]


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
    """Do the runs that `store` does not hold and append each row as soon as its run is over.

    Stopping at any moment loses the runs in flight and nothing else. A run that fails is written to the store of
    failures beside the results; it is tried again the next time.

    Args:
        runs: in the order in which they are begun.
        store: where rows go.
        workers: how many runs at once, each with one thread; 0 runs everything here.
        on: the executor, "processes" or "ray".
        setup: called in each worker before a run, to register methods or references that the package does not have.

    Returns:
        the failures of this call.
    """
    setup()
    todo = missing(runs, store)
    failures: list[Failure[Run]] = []
    with executor(workers, on) as pool, progress(len(todo), "runs", quiet=quiet) as advance:
        pairs = _with_preparation(todo) if workers else ((run_one, run) for run in todo)
        jobs: list[Job] = [(action, run, setup) for action, run in pairs]
        for outcome in pool.map(_perform, jobs):
            action, run, _ = jobs[outcome.index]
            if action is prepare_run:
                continue  # a run on what could not be prepared fails by itself, and says why
            failure = keep(store, run, outcome)
            failures += [] if failure is None else [failure]
            advance(note=run.title)
    return failures


def _perform(job: Job) -> Any:
    action, run, setup = job
    setup()
    return action(run)


def _with_preparation(runs: list[Run]) -> Iterator[tuple[Callable[[Run], Any], Run]]:
    """Every run, and one job per task and seed that trains its network a task ahead of its runs.

    Without it all workers would come to a new task at the same time and train the same network.
    """
    groups: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.data, run.sampler, run.seed), []).append(run)
    ordered = list(groups.values())
    for position, group in enumerate(ordered):
        if position == 0:
            yield prepare_run, group[0]
        if position + 1 < len(ordered):
            yield prepare_run, ordered[position + 1][0]
        for run in group:
            yield run_one, run
