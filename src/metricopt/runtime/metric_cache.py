"""Answers that cost something, kept as they come in, so that a run that was stopped does not ask twice."""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._errors import CheckpointError
from .atomic_file import read_whole, sync_folder, write_all, write_failed

#: Answers are flushed to the disk this often at most: an answer costs microseconds to write and milliseconds to
#: flush.
_FLUSH_SECONDS = 0.2


class MetricCache:
    """A file of a metric's answers by question, appended to; what it holds is given back before anything is asked
    again.

    A search that depends on its seed and on the answers alone can be stopped at any moment: run again, it asks the
    same questions in the same order, gets the old answers for nothing, and goes on where it was. A question that is
    asked twice has two answers, which come back in their order. A torn last line is dropped.

    Args:
        path: a file of JSON lines, each with a checksum; None keeps nothing.
        clock: for `seconds`.

    Raises:
        CheckpointError: the file holds something else, or was changed.
        WriteFailed: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._old: dict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self._path = None if path is None else Path(path)
        self._handle: int | None = None
        self._at = self._tick = 0.0
        self._pending = 0
        if self._path is not None:
            self._handle = _opened(self._path, self._read(self._path))
        self._live_since = self._flushed = clock()
        self.kept = self._pending

    def of(self, question: str, ask: Callable[[], float]) -> float:
        """The kept answer to `question`, else what `ask` returns, which is kept. An error of `ask` is not kept.

        Raises: WriteFailed where the answer cannot be kept.
        """
        if self._old[question]:
            answer, at = self._old[question].popleft()
            self._pending -= 1
            now = self._clock()
            self._at, self._live_since = max(self._at + now - self._live_since, at), now
            self._tick = at
            return answer
        answer = float(ask())
        self._tick = max(round(self.seconds(), 6), self._tick)
        if self._handle is not None:
            self._keep(_line(question, answer, self._tick))
        return answer

    def has(self, questions: Sequence[str]) -> list[bool]:
        """Which of `questions`, asked in this order, have an answer that is kept."""
        left = Counter({name: len(self._old[name]) for name in set(questions) if name in self._old})
        found = []
        for name in questions:
            found.append(left[name] > 0)
            left[name] -= 1
        return found

    def tick(self) -> float:
        """When the last answer came in: a clock that moves with the answers alone.

        A search that reads its time here does the same when it is run again on kept answers, whatever the machine does.
        """
        return self._tick

    def seconds(self) -> float:
        """Seconds since the run began, without the time between a stop and the next start.

        An old answer puts the clock forward to when it came in, never back: the clock is later only where coming
        back to this point took longer than the run itself had.
        """
        return self._at + (self._clock() - self._live_since)

    def close(self) -> None:
        """Flush and close the file. Raises WriteFailed where the last answers did not reach the disk."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            os.fsync(handle)
        except OSError as error:
            raise write_failed(self._path or "", error) from error
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, line: bytes) -> None:
        assert self._handle is not None
        try:
            write_all(self._handle, line)
            if self._clock() - self._flushed > _FLUSH_SECONDS:
                os.fsync(self._handle)
                self._flushed = self._clock()
        except OSError as error:
            raise write_failed(self._path or "", error) from error

    def _read(self, path: Path) -> int:
        """Read the old answers; returns how many leading bytes of the file are sound."""
        try:
            content = read_whole(path)
        except FileNotFoundError:
            return 0
        *lines, torn = content.split(b"\n")
        for number, line in enumerate(lines, start=1):
            row = _parsed(line)
            if row is None:
                raise CheckpointError(
                    f"line {number} of {str(path)!r} is not an answer of this run, or was changed: {line[:80]!r}. "
                    "Remove it and all lines below it to go on from there, or remove the folder to begin anew."
                )
            self._old[row[0]].append(row[1:])
            self._pending += 1
        return len(content) - len(torn)


def _opened(path: Path, sound: int) -> int:
    """The file behind its `sound` bytes, ready to append to. A link is not followed: what it leads to is not ours."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        try:
            os.ftruncate(handle, sound)
            sync_folder(path.parent)
        except BaseException:
            os.close(handle)
            raise
    except OSError as error:
        raise write_failed(path, error) from error
    return handle


def _line(question: str, answer: float, seconds: float) -> bytes:
    row = {"question": question, "answer": answer, "seconds": seconds, "check": _check(question, answer, seconds)}
    return json.dumps(row, allow_nan=False).encode() + b"\n"


def _check(question: str, answer: float, seconds: float) -> str:
    return f"{zlib.crc32(json.dumps([question, answer, seconds]).encode()):08x}"


def _parsed(line: bytes) -> tuple[str, float, float] | None:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or set(row) != {"question", "answer", "seconds", "check"}:
        return None
    question, answer, seconds = row["question"], row["answer"], row["seconds"]
    if not isinstance(question, str) or type(answer) is not float or type(seconds) is not float:
        return None
    if not (math.isfinite(answer) and math.isfinite(seconds) and seconds >= 0):
        return None
    return (question, answer, seconds) if row["check"] == _check(question, answer, seconds) else None
