"""Do all runs of a table that are not in the store yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._checks import at_least
from .._errors import JobFailed
from ..runtime import Executor, ProcessExecutor, ResultStore, SerialExecutor, progress
from .run import Run
from .run_one import prepare, run_one

Job = tuple[Callable[[Run], Any], Run]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that raised, and the text of its traceback."""

    run: Run
    traceback: str


def run_table(runs: Iterable[Run], store: ResultStore, *, workers: int, quiet: bool = False) -> list[Failure]:
    """Do the runs that `store` does not hold and append each row as soon as its run is over.

    Stopping at any moment loses the runs in flight and nothing else. A run that fails is written to the store of
    failures beside the results; it is tried again the next time.

    Args:
        runs: in the order in which they are begun.
        store: where rows go.
        workers: processes of one thread each; 0 runs everything here.

    Returns:
        the failures of this call.
    """
    done = store.digests()
    todo = [run for run in runs if run.key.digest not in done]
    failures: list[Failure] = []
    with _executor(workers) as executor, progress(len(todo), "runs", quiet=quiet) as advance:
        jobs: list[Job] = list(_with_preparation(todo)) if workers else [(run_one, run) for run in todo]
        for outcome in executor.map(_perform, jobs):
            action, run = jobs[outcome.index]
            if action is prepare:
                continue  # a run on what could not be prepared fails by itself, and says why
            if outcome.error is None:
                store.append(run.key, outcome.result())
            else:
                failures.append(_recorded(store, run, outcome.error))
            advance(note=f"{run.task.name} {run.metric} {run.method} seed {run.seed}")
    return failures


def failure_store(store: ResultStore) -> ResultStore:
    """The store of failures beside a store of results: `table3.jsonl` has `table3.failed.jsonl`."""
    path = Path(store.path)
    return ResultStore(path.with_name(f"{path.stem}.failed{path.suffix}"))


def _executor(workers: int) -> Executor:
    return ProcessExecutor(at_least("workers", workers, 1), threads=1) if workers else SerialExecutor()


def _perform(job: Job) -> Any:
    action, run = job
    return action(run)


def _with_preparation(runs: list[Run]) -> Iterator[Job]:
    """Every run, and one job per task and seed that trains its network a task ahead of its runs.

    Without it all workers would come to a new task at the same time and train the same network.
    """
    groups: dict[tuple[str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.data, run.sampler, run.seed), []).append(run)
    ordered = list(groups.values())
    for position, group in enumerate(ordered):
        if position == 0:
            yield prepare, group[0]
        if position + 1 < len(ordered):
            yield prepare, ordered[position + 1][0]
        for run in group:
            yield run_one, run


def _recorded(store: ResultStore, run: Run, error: JobFailed) -> Failure:
    failed = failure_store(store)
    attempt = sum(row["run"] == run.key.digest for row in failed.rows())
    key = replace(run.key, settings={**run.key.settings, "attempt": attempt})
    failed.append(key, {"run": run.key.digest, "traceback": str(error)})
    return Failure(run=run, traceback=str(error))
