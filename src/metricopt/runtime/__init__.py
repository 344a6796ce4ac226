"""Where work runs and what it leaves behind: executors, checkpoints, the results store, progress, environment."""

from __future__ import annotations

from .atomic_file import write_atomically
from .checkpoint import check_template, read_settings, read_tensors, write_tensors
from .environment import describe_environment
from .executors import Executor, Outcome, ProcessExecutor, SerialExecutor
from .progress import Advance, progress
from .store import ResultStore, RunKey
from .threads import one_thread

__all__ = [
    "Advance",
    "Executor",
    "Outcome",
    "ProcessExecutor",
    "ResultStore",
    "RunKey",
    "SerialExecutor",
    "check_template",
    "describe_environment",
    "one_thread",
    "progress",
    "read_settings",
    "read_tensors",
    "write_atomically",
    "write_tensors",
]
