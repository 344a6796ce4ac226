"""Jobs on a Ray cluster: this machine, or many."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, final

from .._checks import at_least
from .._errors import JobFailed
from .._extras import require
from .executors import Executor, job_failed

T = TypeVar("T")


@final
class RayExecutor(Executor):
    """Runs jobs as Ray tasks of one CPU each. A worker or machine that dies costs nothing: its jobs run again
    elsewhere.

    On one machine nothing is needed but the extra `ray`. On many, start `ray start --head` on one and
    `ray start --address=HEAD:6379` on the others; `address="auto"`, or RAY_ADDRESS in the environment, finds them.

    Args:
        workers: CPUs of a local cluster; by default all of the machine. A cluster that runs already has its own.
        address: of a running cluster; None starts a local one unless RAY_ADDRESS names another.
        threads: of torch in each job.
        retries: how often a job whose worker died is run again.
    """

    def __init__(
        self, workers: int | None = None, *, address: str | None = None, threads: int = 1, retries: int = 5
    ) -> None:
        self._ray: Any = require("ray", extra="ray", purpose='executor="ray"')
        at_least("threads", threads, 1)
        self._threads = threads
        address = address or os.environ.get("RAY_ADDRESS")
        self._owned = not self._ray.is_initialized()
        if self._owned:
            # The program's own folder is imported from, as multiprocessing does it.
            environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(_import_path())}}
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Ray's own dependencies
                self._ray.init(
                    address=address,
                    num_cpus=None if address else workers,
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    runtime_env=environment,
                )
        self._task = self._ray.remote(_call).options(num_cpus=1, max_retries=retries)
        self._waiting: set[Any] = set()

    @property
    def workers(self) -> int:
        """CPUs of the whole cluster."""
        return int(self._ray.cluster_resources().get("CPU", 1))

    def submit(self, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            reference = self._task.remote(self._threads, job, args, kwargs)
        except Exception:  # noqa: BLE001 - whatever cannot travel raises errors of its own
            future.set_exception(job_failed(job, f"it cannot be sent to another process:\n{traceback.format_exc()}"))
            return future
        self._waiting.add(reference)
        future.set_running_or_notify_cancel()
        reference.future().add_done_callback(lambda done: self._finish(reference, future, job, done))
        return future

    def _finish(self, reference: Any, future: Future[T], job: Callable[..., T], done: Future[Any]) -> None:
        self._waiting.discard(reference)
        error = done.exception()
        if error is not None:
            failed = job_failed(job, f"its worker was lost: {error}")
        else:
            ok, answer = done.result()
            if ok:
                future.set_result(answer)
                return
            failed = job_failed(job, answer)
        future.set_exception(failed)

    def close(self, *, drop: bool = False) -> None:
        if drop:
            for reference in list(self._waiting):
                self._ray.cancel(reference, force=True)
        elif self._waiting:
            self._ray.wait(list(self._waiting), num_returns=len(self._waiting))
        if self._owned and self._ray.is_initialized():
            self._ray.shutdown()
            self._owned = False


def _call(threads: int, job: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    """Whether the job went well, and its value or its traceback."""
    import torch

    torch.set_num_threads(threads)
    try:
        return True, job(*args, **kwargs)
    except Exception:  # noqa: BLE001 - a job may raise anything, and its traceback is the answer
        return False, traceback.format_exc()


def _import_path() -> list[str]:
    import sys

    return [path or os.getcwd() for path in sys.path]


__all__ = ["JobFailed", "RayExecutor"]
