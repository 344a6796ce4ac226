"""One program from start to end, whatever it does: a deadline, bounded memory, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import IO, final

from .tail import Tail

#: How much is kept of the end of each stream.
_KEPT = 1 << 16
#: How much is read at once: what a pipe holds on Linux.
_CHUNK = 1 << 16
#: How often at most a pipe is read when its child has ended. One from outside the group may write without end.
_LAST_READS = 16
#: Seconds between two looks at a child that says nothing. Only the end of a child that has closed its streams, or whose
#: children keep them open, is noticed that late.
_LOOK = 0.05
#: Seconds that a killed process gets to be gone. One of another user (sudo) cannot be killed, one inside a dead network
#: disk does not go: both would be waited for without end.
_GOING = 5.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a child.

    Args:
        status: exit status, or minus the signal that ended it; None where it could not be killed.
        in_time: False where it was killed at the deadline.
        out: the end of its standard output.
        err: the end of its standard error.
        pid: its process.
    """

    status: int | None
    in_time: bool
    out: Tail
    err: Tail
    pid: int


def run_child(
    arguments: Sequence[str], *, timeout: float, environment: Mapping[str, str], folder: Path | None
) -> Ended:
    r"""Run a program to its end, or kill it after `timeout` seconds.

    It leads a process group of its own. When it has ended, by itself, at the deadline, or because an exception
    (Ctrl-C) leaves this function, whatever still runs in that group is killed. SIGKILL at once: a program that hangs
    may not listen to anything else.

    Raises:
        OSError: it cannot be started.

    >>> ended = run_child(["echo", "0.5"], timeout=60.0, environment=os.environ, folder=None)
    >>> ended.status, ended.out.text
    (0, '0.5\n')
    """
    deadline = monotonic() + timeout
    child = _Child(arguments, environment, folder)
    try:
        process = child.start()
        in_time = child.listen(process, deadline)
    finally:
        child.end()
    return Ended(status=process.returncode, in_time=in_time, out=child.out, err=child.err, pid=process.pid)


@final
class _Child:
    """Starts in a thread of its own: Ctrl-C is raised in the main thread, and inside Popen it would lose a child that
    runs already."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None) -> None:
        self.out = Tail(limit=_KEPT)
        self.err = Tail(limit=_KEPT)
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._folder = folder
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._error: Exception | None = None

    def start(self) -> subprocess.Popen[bytes]:
        threading.Thread(target=self._start, name="metricopt-start", daemon=True).start()
        self._started.wait()
        if self._error is not None:
            raise self._error
        assert self._process is not None
        return self._process

    def listen(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Keep what the child says until it has ended; False if the deadline comes first."""
        with DefaultSelector() as selector:
            for stream, tail in self._streams(process):
                selector.register(stream, EVENT_READ, tail)
            # Its end counts, not that of its streams: children that it left behind may hold them open.
            while process.poll() is None:
                left = deadline - monotonic()
                if left <= 0:
                    return False
                if not selector.get_map():
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(min(left, _LOOK))
                    continue
                for key, _ in selector.select(min(left, _LOOK)):
                    if _read(key.fd, key.data) == 0:
                        selector.unregister(key.fileobj)
        return True

    def end(self) -> None:
        """Kill what still runs, also a child that only now comes to life, and keep what it said last."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._end(self._process)

    def _start(self) -> None:
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
            for stream, _ in self._streams(process):
                os.set_blocking(stream.fileno(), False)
            with self._lock:
                self._process = process
                if self._ended:
                    self._end(process)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again in the thread that waits
            self._error = error
        finally:
            self._started.set()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        # The leader may be reaped by now. Its number stays taken while anyone is in the group, and is not given to
        # another process in the instant between.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # `Ended.status` says so
            process.wait(_GOING)
        for stream, tail in self._streams(process):
            for _ in range(_LAST_READS):
                if not _read(stream.fileno(), tail):
                    break
            stream.close()

    def _streams(self, process: subprocess.Popen[bytes]) -> tuple[tuple[IO[bytes], Tail], tuple[IO[bytes], Tail]]:
        assert process.stdout is not None and process.stderr is not None
        return (process.stdout, self.out), (process.stderr, self.err)


def _read(descriptor: int, tail: Tail) -> int | None:
    """Keep what is there now, and say how many bytes: 0 at the end of the stream, None if there is nothing yet."""
    try:
        chunk = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
    tail.add(chunk)
    return len(chunk)
