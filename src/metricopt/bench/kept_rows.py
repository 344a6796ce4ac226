"""Rows are kept as they come: what a store holds is not done again, what fails is kept beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from .._checks import at_least
from .._errors import JobFailed
from ..runtime import Executor, Outcome, ResultStore, RunKey, SerialExecutor, make_executor


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
