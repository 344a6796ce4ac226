"""The results store: one row per finished run, appended to a file of JSON lines and never rewritten.

A run is known by its `RunKey`, so whoever starts again skips what is already there. Several processes may
append to one store at once, on one machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._errors import CheckpointError, ConfigError
from .atomic_file import sync_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """What makes a run the same run: two keys with equal fields have equal digests, on any machine.

    >>> key = RunKey(task="a9a", method="cma", metric="f1", seed=0, settings={"calls": 100, "dim": 16})
    >>> key.digest == RunKey(task="a9a", method="cma", metric="f1", seed=0, settings={"dim": 16, "calls": 100}).digest
    True
    """

    task: str
    method: str
    metric: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Sixteen hex digits over all fields; the order of the settings does not matter."""
        return hashlib.sha256(_to_json(self.columns(), "the key of a run", sort=True).encode()).hexdigest()[:16]

    def columns(self) -> dict[str, Any]:
        """The fields as the first columns of a row."""
        return {
            "task": self.task,
            "method": self.method,
            "metric": self.metric,
            "seed": self.seed,
            "settings": dict(self.settings),
        }


class ResultStore:
    """Finished runs in one file.

    Args:
        path: the file, by custom `*.jsonl`. It is made, with its folders, at the first append.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __contains__(self, key: RunKey) -> bool:
        return key.digest in self.digests()

    def digests(self) -> frozenset[str]:
        """The digests of all finished runs."""
        return frozenset(row["key"] for row in self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """All rows in the order in which they were appended. Reads only: a torn last line is left out, with a message.

        Raises: CheckpointError where a line that is not the last one cannot be read.
        """
        if not self.path.exists():
            return []
        with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as handle:
            rows, _ = self._parse(_read_all(handle))
        return rows

    def append(self, key: RunKey, result: Mapping[str, Any]) -> bool:
        """Add one finished run and flush it to disk.

        Args:
            key: its fields stand in the row beside the result.
            result: whatever JSON can hold; None where a figure is not defined.

        Returns: False if the run was there already. Then nothing is written: the first result stands.

        Raises: ConfigError where the result is not JSON or uses a name of the key;
            CheckpointError where the file is damaged.
        """
        head = {"key": key.digest, **key.columns()}
        clash = sorted(set(head) & set(result))
        if clash:
            raise ConfigError(f"a result may not use the names of its key, got {clash}; rename them")
        line = _to_json({**head, **result}, "a result", sort=False).encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(os.O_RDWR | os.O_CREAT | os.O_APPEND, fcntl.LOCK_EX) as handle:
            content = _read_all(handle)
            rows, sound = self._parse(content)
            if any(row["key"] == head["key"] for row in rows):
                return False
            if sound < len(content):
                os.ftruncate(handle, sound)
            elif content and not content.endswith(b"\n"):
                line = b"\n" + line  # the last row is whole, only its end of line was lost
            _write_all(handle, line)
            os.fsync(handle)
        if not content:
            sync_folder(self.path.parent)
        return True

    @contextmanager
    def _locked(self, flags: int, lock: int) -> Iterator[int]:
        try:
            handle = os.open(self.path, flags | os.O_NONBLOCK, 0o644)  # opening a pipe would block
        except OSError as error:
            raise CheckpointError(
                f"cannot open the results in {self.path}: {error.strerror}; choose another file"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CheckpointError(f"{self.path} is not a regular file, so it holds no results; choose another")
            fcntl.flock(handle, lock)  # released when the handle is closed, also when the process dies
            yield handle
        finally:
            os.close(handle)

    def _parse(self, content: bytes) -> tuple[list[dict[str, Any]], int]:
        """The rows, and how many leading bytes of the file are sound."""
        rows: list[dict[str, Any]] = []
        sound = 0
        for number, line in enumerate(_lines(content), start=1):
            row = _parse_line(line)
            if row is None and line.endswith(b"\n"):
                raise CheckpointError(
                    f"line {number} of {self.path} is not a row of results: {line[:80]!r}. "
                    "The file was changed by something else; restore it or remove that line."
                )
            if row is None:
                _log.warning(
                    "the last line of %s is torn (%d bytes, a writer was stopped in the middle): that run counts "
                    "as not finished, and the next append removes the torn line",
                    self.path,
                    len(line),
                )
                break
            rows.append(row)
            sound += len(line)
        return rows, sound


def _lines(content: bytes) -> list[bytes]:
    """The lines with their ends. Only a line feed ends one: `splitlines` would also cut at a stray carriage return."""
    *whole, rest = content.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _parse_line(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError too
        return None
    return row if isinstance(row, dict) and isinstance(row.get("key"), str) else None


def _to_json(value: Mapping[str, Any], what: str, *, sort: bool) -> str:
    try:
        return json.dumps(value, sort_keys=sort, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{what} must be JSON (finite numbers, text, lists, mappings, None): {error}. "
            "Turn tensors and arrays into plain numbers, and NaN into None."
        ) from error


def _read_all(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write_all(handle: int, payload: bytes) -> None:
    while payload:
        payload = payload[os.write(handle, payload) :]
