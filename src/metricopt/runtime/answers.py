"""Answers that cost something, kept as they come in, so that a run that was stopped does not ask twice."""

from __future__ import annotations

import json
import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._errors import CheckpointError

#: Answers are flushed to the disk this often at most: an answer costs microseconds to write and milliseconds to flush.
_FLUSH_SECONDS = 0.2


class Answers:
    """A file of answers by question, appended to; what it holds is given back before anything is asked again.

    A search that depends on its seed and on the answers alone can be stopped at any moment: run again, it asks the
    same questions in the same order, gets the old answers for nothing, and goes on where it was. A question that is
    asked twice has two answers, which come back in their order. A torn last line is dropped.

    Args:
        path: a file of JSON lines; None keeps nothing.
        clock: for `seconds`.

    Raises:
        CheckpointError: the file holds something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._old: dict[str, deque[tuple[float, float]]] = defaultdict(deque)
        self._handle: int | None = None
        self._at = 0.0
        self._pending = 0
        if path is not None:
            sound = self._read(Path(path))
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(self._handle, sound)
        self._live_since = self._flushed = clock()
        self.kept = self._pending

    def of(self, question: str, ask: Callable[[], float]) -> float:
        """The kept answer to `question`, else what `ask` returns, which is kept. An error of `ask` is not kept."""
        if self._old[question]:
            answer, at = self._old[question].popleft()
            self._pending -= 1
            self._at = max(self._at, at)
            self._live_since = self._clock()
            return answer
        answer = ask()
        if self._handle is not None:
            row = {"question": question, "answer": answer, "seconds": round(self.seconds(), 6)}
            os.write(self._handle, json.dumps(row, allow_nan=False).encode() + b"\n")
            self._flush_now_and_then()
        return answer

    def seconds(self) -> float:
        """Seconds since the run began, without the time between a stop and the next start.

        While old answers come back the clock stands where it stood when they came in.
        """
        return self._at + (self._clock() - self._live_since)

    def close(self) -> None:
        """Flush and close the file."""
        if self._handle is not None:
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush_now_and_then(self) -> None:
        assert self._handle is not None
        if self._clock() - self._flushed > _FLUSH_SECONDS:
            os.fsync(self._handle)
            self._flushed = self._clock()

    def _read(self, path: Path) -> int:
        """Fill the old answers; returns how many leading bytes of the file are sound."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise CheckpointError(f"cannot read the answers in {path}: {error}. Choose another folder.") from error
        sound = 0
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            row = _parsed(line)
            if row is None and line.endswith(b"\n"):
                raise CheckpointError(
                    f"line {number} of {path} is not an answer: {line[:80]!r}. Something else changed the file; "
                    "remove the folder to begin anew."
                )
            if row is None or not line.endswith(b"\n"):
                break
            self._old[row[0]].append(row[1:])
            self._pending += 1
            sound += len(line)
        return sound


def _parsed(line: bytes) -> tuple[str, float, float] | None:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or set(row) != {"question", "answer", "seconds"}:
        return None
    numbers = [row["answer"], row["seconds"]]
    if not isinstance(row["question"], str) or any(type(n) not in (int, float) for n in numbers):
        return None
    try:
        answer, seconds = (float(n) for n in numbers)
    except OverflowError:
        return None
    return (
        (row["question"], answer, seconds)
        if math.isfinite(answer) and math.isfinite(seconds) and seconds >= 0
        else None
    )
