"""Where work runs and what it leaves behind: executors, checkpoints, the results store, progress, environment."""

from __future__ import annotations

from .atomic_file import digest_of_file, read_whole, write_atomically
from .checkpoint import FILE_LAYOUT, check_template, read_tensors, write_tensors
from .environment import describe_environment
from .executors import EXECUTORS, Executor, Outcome, ProcessExecutor, SerialExecutor, ThreadExecutor, make_executor
from .metric_cache import MetricCache
from .progress import Advance, progress
from .run_folder import RunFolder, read_identity
from .sealed_json import read_sealed, strict_object, write_sealed
from .store import ResultStore, RunKey
from .threads import one_thread

__all__ = [
    "EXECUTORS",
    "FILE_LAYOUT",
    "Advance",
    "Executor",
    "MetricCache",
    "Outcome",
    "ProcessExecutor",
    "ResultStore",
    "RunFolder",
    "RunKey",
    "SerialExecutor",
    "ThreadExecutor",
    "check_template",
    "describe_environment",
    "digest_of_file",
    "make_executor",
    "one_thread",
    "progress",
    "read_identity",
    "read_sealed",
    "read_tensors",
    "read_whole",
    "strict_object",
    "write_atomically",
    "write_sealed",
    "write_tensors",
]
