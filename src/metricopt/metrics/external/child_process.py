"""One program from start to end, whatever it does: a deadline, bounded memory, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import IO

from .tail import Tail

#: How much is kept of the end of each stream.
_KEPT = 1 << 16
#: How much is read at once: what a pipe holds on Linux.
_CHUNK = 1 << 16
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
    process = subprocess.Popen(
        list(arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    heard = {process.stdout: Tail(limit=_KEPT), process.stderr: Tail(limit=_KEPT)}
    try:
        in_time = _listen(process, heard, deadline)
    finally:
        _kill_group(process)
        for stream, tail in heard.items():
            _drain(stream, tail)
            stream.close()
    out, err = heard.values()
    return Ended(status=process.returncode, in_time=in_time, out=out, err=err, pid=process.pid)


def _listen(process: subprocess.Popen[bytes], heard: Mapping[IO[bytes], Tail], deadline: float) -> bool:
    """Keep what the child says until it has ended; False if the deadline comes first."""
    with DefaultSelector() as selector:
        for stream, tail in heard.items():
            os.set_blocking(stream.fileno(), False)
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
                if not _read(key.fd, key.data):
                    selector.unregister(key.fileobj)
    return True


def _read(descriptor: int, tail: Tail) -> bool:
    """Keep what is there now; False at the end of the stream."""
    try:
        chunk = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return True
    tail.add(chunk)
    return bool(chunk)


def _drain(stream: IO[bytes], tail: Tail) -> None:
    """Keep what the pipe still holds. At most a mebibyte: a process outside the group may write without end."""
    for _ in range(16):
        try:
            chunk = os.read(stream.fileno(), _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            return
        tail.add(chunk)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # The leader may be reaped by now. Its number stays taken while anyone is in the group, and is not given to another
    # process in the instant between.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # `Ended.status` says so
        process.wait(_GOING)
