"""Where jobs run: here, or in worker processes that may die without taking anything else with them."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import cloudpickle

from .._checks import at_least, one_of
from .._errors import JobFailed

T = TypeVar("T")
A = TypeVar("A")


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of one job of a `map`."""

    index: int
    value: T | None = None
    error: JobFailed | None = None

    def result(self) -> T:
        """The job's value; raises its JobFailed if it has none."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None only where the job returned None


class Executor(ABC):
    """Runs jobs. A context manager: leaving it ends the workers; leaving it by an exception drops what still waits."""

    @property
    def workers(self) -> int:
        """How many jobs run at the same time."""
        return 1

    @abstractmethod
    def submit(self, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run `job(*args, **kwargs)`. The future holds its value, or a JobFailed with its traceback."""

    @abstractmethod
    def close(self, *, drop: bool = False) -> None:
        """End the workers: after the jobs that still wait, or at once with `drop`. Closing twice is fine."""

    def map(self, job: Callable[[A], T], items: Iterable[A]) -> Iterator[Outcome[T]]:
        """Run `job(item)` for every item and yield each Outcome as soon as it is there, in order of completion.

        A job that fails is an Outcome with an error; the others go on. Leaving the iterator early cancels
        the jobs that have not begun.
        """
        futures = {self.submit(job, item): index for index, item in enumerate(items)}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is None:
                    yield Outcome(index=futures[future], value=future.result())
                elif isinstance(error, JobFailed):
                    yield Outcome(index=futures[future], error=error)
                else:
                    raise error
        finally:
            for future in futures:
                future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drop=kind is not None)


class SerialExecutor(Executor):
    """Runs every job in this process, one after the other, in the order of the items.

    >>> with SerialExecutor() as executor:
    ...     [outcome.result() for outcome in executor.map(abs, [-1, 2])]
    [1, 2]
    """

    def submit(self, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(_run_here(job, args, kwargs))
        except JobFailed as failed:
            future.set_exception(failed)
        return future

    def map(self, job: Callable[[A], T], items: Iterable[A]) -> Iterator[Outcome[T]]:
        for index, item in enumerate(items):
            future = self.submit(job, item)
            error = future.exception()
            if isinstance(error, JobFailed):
                yield Outcome(index=index, error=error)
            else:
                yield Outcome(index=index, value=future.result())

    def close(self, *, drop: bool = False) -> None:
        """Nothing to end: every job is over when `submit` returns."""


class ThreadExecutor(Executor):
    """Runs jobs in `workers` threads of this process: for jobs that wait for something else, a program or a server.

    >>> with ThreadExecutor(2) as executor:
    ...     executor.submit(abs, -1).result()
    1
    """

    def __init__(self, workers: int) -> None:
        self._count = at_least("workers", workers, 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="metricopt-thread")

    @property
    def workers(self) -> int:
        return self._count

    def submit(self, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._pool.submit(_run_here, job, args, kwargs)

    def close(self, *, drop: bool = False) -> None:
        self._pool.shutdown(wait=True, cancel_futures=drop)


class ProcessExecutor(Executor):
    """Runs jobs in `workers` fresh processes (spawn), each with `threads` torch threads.

    Jobs, their arguments and their values travel between the processes by `cloudpickle`: functions of modules by name,
    those of a notebook or inside others by value. A worker that dies (killed, out of memory) makes its own job a
    JobFailed that names the exit code; a new worker takes its place and the other jobs do not notice.
    """

    def __init__(self, workers: int, *, threads: int = 1) -> None:
        self._count = at_least("workers", workers, 1)
        self._threads = at_least("threads", threads, 1)
        # One thread here looks after one worker there, so a future needs no bookkeeping of its own.
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="metricopt-worker")
        self._own = threading.local()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._dropped = False

    @property
    def workers(self) -> int:
        return self._count

    def submit(self, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._pool.submit(self._run, job, args, kwargs)

    def close(self, *, drop: bool = False) -> None:
        if drop:
            with self._lock:
                self._dropped = True
                for worker in self._workers:
                    worker.kill()
        self._pool.shutdown(wait=True, cancel_futures=drop)
        with self._lock:
            for worker in self._workers:
                worker.stop()
            self._workers.clear()

    def _run(self, job: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        worker = self._worker()
        try:
            ok, answer = worker.call(job, args, kwargs)
        except _WorkerDied as death:
            self._forget(worker)
            raise job_failed(job, f"its worker process died with {death}") from death
        if not ok:
            raise job_failed(job, answer)
        return answer  # type: ignore[no-any-return]  # the other process answers with the job's own type

    def _worker(self) -> _Worker:
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is not None and not worker.alive():  # it died between two jobs: nobody's fault
            self._forget(worker)
            worker = None
        if worker is None:
            with self._lock:
                if self._dropped:
                    raise JobFailed("the executor was closed before this job began; make a new one")
                worker = _Worker(self._threads)
                self._workers.add(worker)
            self._own.worker = worker
        return worker

    def _forget(self, worker: _Worker) -> None:
        self._own.worker = None
        with self._lock:
            self._workers.discard(worker)
        worker.stop()


class _WorkerDied(Exception):
    """The process at the other end is gone."""


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self, threads: int) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        with _script_left_alone():
            self._process.start()
        theirs.close()  # so that the death of the process closes the pipe

    def call(self, job: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
        """Whether the job went well, and its value or its traceback."""
        try:
            self._pipe.send_bytes(cloudpickle.dumps((job, args, kwargs)))
        except OSError:
            raise _WorkerDied(self._exit_code()) from None
        except Exception:  # noqa: BLE001 - whatever cannot travel raises errors of its own
            return False, f"it cannot be sent to another process:\n{traceback.format_exc()}"
        connection.wait([self._pipe, self._process.sentinel])
        try:
            # An answer may lie in the pipe of a process that is already gone.
            if not self._pipe.poll():
                raise EOFError
            ok, answer = pickle.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise _WorkerDied(self._exit_code()) from None
        except Exception:  # noqa: BLE001 - a value may fail to be put together again in any way
            return False, f"its value cannot be read in this process:\n{traceback.format_exc()}"
        return ok, answer

    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        """End the process: it leaves by itself when its pipe closes."""
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _exit_code(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit code {code}"


#: Names of executors, for arguments and options.
EXECUTORS = ("serial", "threads", "processes", "ray")


def make_executor(name: str, *, workers: int = 1) -> Executor:
    """The executor of that name with so many workers.

    >>> make_executor("fast")
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: executor must be one of serial, threads, processes, ray; got 'fast'
    """
    one_of("executor", name, EXECUTORS)
    if name == "serial":
        return SerialExecutor()
    if name == "threads":
        return ThreadExecutor(workers)
    if name == "processes":
        return ProcessExecutor(workers)
    from .ray_executor import RayExecutor  # Ray takes a second to import

    return RayExecutor(workers)


_STARTING = threading.Lock()


@contextmanager
def _script_left_alone() -> Iterator[None]:
    """Where the user's script has no `if __name__ == "__main__"`, a worker must not import it: it would run once more.

    Jobs travel with what they need of it. A script that has one is imported, since it may register things.
    """
    main = sys.modules["__main__"]
    try:
        guarded = "__main__" in Path(str(main.__file__)).read_text(encoding="utf-8")
    except (AttributeError, OSError, UnicodeDecodeError):  # a notebook, say
        guarded = True
    with _STARTING:
        kept = {} if guarded else {name: vars(main).get(name) for name in ("__file__", "__spec__")}
        vars(main).update(dict.fromkeys(kept))
        try:
            yield
        finally:
            vars(main).update(kept)


def _serve(pipe: Connection, threads: int) -> None:
    """The life of a worker: answer jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # torch reads them when the first job imports it
    if "torch" in sys.modules:  # the main module of the program did so already
        sys.modules["torch"].set_num_threads(threads)
    while True:
        try:
            job, args, kwargs = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return
        except Exception:  # noqa: BLE001 - a job that cannot be imported here
            pipe.send_bytes(
                pickle.dumps((False, f"it cannot be read in the worker process:\n{traceback.format_exc()}"))
            )
            continue
        _answer(pipe, job, args, kwargs)


def _answer(pipe: Connection, job: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        answer = (True, job(*args, **kwargs))
    except Exception:  # noqa: BLE001 - a job may raise anything, and its traceback is the answer
        answer = (False, traceback.format_exc())
    try:
        pipe.send_bytes(cloudpickle.dumps(answer))
    except OSError:
        return  # the parent is gone
    except Exception:  # noqa: BLE001 - whatever cannot travel raises errors of its own
        pipe.send_bytes(pickle.dumps((False, f"its value cannot be sent back:\n{traceback.format_exc()}")))


def _run_here(job: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """The job's value; whatever it raises becomes a JobFailed with that as its cause."""
    try:
        return job(*args, **kwargs)
    except Exception as error:  # a job may raise anything, and it comes back in the future
        raise job_failed(job, traceback.format_exc()) from error


def job_failed(job: Callable[..., Any], why: str) -> JobFailed:
    """The error of a job: what it was, and why it has no value."""
    name = getattr(job, "__qualname__", repr(job))
    return JobFailed(f"job {name} failed: {why.rstrip()}")
