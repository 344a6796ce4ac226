"""Rows are kept as they come: what a store holds is not done again, what fails is kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from .._checks import at_least
from .._errors import JobFailed
from ..runtime import Executor, Outcome, ResultStore, RunKey, SerialExecutor, make_executor, progress


class Keyed(Protocol):
    """Plain values that say what is to be done; `title` is for people."""

    @property
    def key(self) -> RunKey: ...

    @property
    def title(self) -> str: ...


Work = TypeVar("Work", bound=Keyed)


@dataclass(frozen=True, kw_only=True)
class Failure(Generic[Work]):
    """What raised, and the text of its traceback."""

    run: Work
    traceback: str


#: What is called with which of the work, and whether it gives a row.
Job = tuple[Callable[[Work], Any], Work, bool]


def fill(
    store: ResultStore,
    work: Iterable[Work],
    perform: Callable[[Work], Any],
    *,
    workers: int,
    on: str = "processes",
    quiet: bool = False,
    noun: str = "runs",
    jobs: Callable[[list[Work]], Iterable[Job[Work]]] | None = None,
) -> list[Failure[Work]]:
    """Do what `store` does not hold and append each row as soon as it is there.

    Stopping at any moment loses what is in flight and nothing else. What fails is written to the store of failures
    beside the results; it is tried again the next time.

    Args:
        store: where rows go.
        work: in the order in which it is begun.
        perform: one of the work to its row; of a module, so that workers find it.
        workers: how many at once, each with one thread; 0 does everything here.
        on: the executor, "processes" or "ray".
        quiet: no progress bar.
        noun: what the bar counts.
        jobs: what is missing to all that is done for it, where that is more than one call each.

    Returns:
        the failures of this call.
    """
    todo = missing(work, store)
    made = list(jobs(todo)) if jobs is not None and workers else [(perform, one, True) for one in todo]
    failures: list[Failure[Work]] = []
    with executor(workers, on) as pool, progress(len(todo), noun, quiet=quiet) as advance:
        for outcome in pool.map(_do, made):
            _, one, gives_row = made[outcome.index]
            if not gives_row:
                continue  # work on what could not be prepared fails by itself, and says why
            failure = keep(store, one, outcome)
            failures += [] if failure is None else [failure]
            advance(note=one.title)
    return failures


def _do(job: Job[Any]) -> Any:
    action, one, _ = job
    return action(one)


def missing(work: Iterable[Work], store: ResultStore) -> list[Work]:
    """What the store does not hold, in the same order."""
    done = store.digests()
    return [one for one in work if one.key.digest not in done]


def keep(store: ResultStore, run: Work, outcome: Outcome[Any]) -> Failure[Work] | None:
    """Append the row of `run`, or its traceback to the store of failures; then it is tried again the next time."""
    if outcome.error is None:
        store.append(run.key, outcome.result())
        return None
    return _recorded(store, run, outcome.error)


def failure_store(store: ResultStore) -> ResultStore:
    """The store of failures beside a store of results: `table3.jsonl` has `table3.failed.jsonl`."""
    path = Path(store.path)
    return ResultStore(path.with_name(f"{path.stem}.failed{path.suffix}"))


def executor(workers: int, name: str = "processes") -> Executor:
    """So many workers of one thread each; 0 runs everything here."""
    return make_executor(name, workers=at_least("workers", workers, 1)) if workers else SerialExecutor()


def _recorded(store: ResultStore, run: Work, error: JobFailed) -> Failure[Work]:
    failed = failure_store(store)
    attempt = sum(row["run"] == run.key.digest for row in failed.rows())
    key = replace(run.key, settings={**run.key.settings, "attempt": attempt})
    failed.append(key, {"run": run.key.digest, "traceback": str(error)})
    return Failure(run=run, traceback=str(error))
