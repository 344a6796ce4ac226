"""A folder that belongs to one run: who it is, who holds it, and what it has learned so far."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._errors import CheckpointError, ConfigError, OtherRun, RunLocked
from .._shown import shown
from .atomic_file import remove_leftovers
from .environment import describe_environment
from .metric_cache import MetricCache
from .sealed_json import read_sealed, write_sealed

_KIND, _VERSION = "metricopt run", 1
_CARD = "run.json"
_LOCK = ".lock"
_ANSWERS = "answers.jsonl"
#: So many earlier runs are named.
_MOST_NAMED = 100

Identity = Mapping[str, str | int | float | bool | None]


class RunFolder:
    """A folder held by this process until it is closed; used as a context.

    Args:
        path: the folder, made where it is missing.
        identity: plain values that make the run this run: settings, digests of data and model. A folder that holds
            a run with other values is refused. Its `holdout` identifies the acceptance rows.

    Attributes:
        judged_alike: earlier runs in the same parent folder that were judged by the same acceptance rows, as they were
            when this run began.

    Raises:
        RunLocked: another process holds it.
        ConfigError: it holds another run, or files that are no run at all.
        CheckpointError: its card cannot be read.
        WriteFailed: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], identity: Identity) -> None:
        self.path = Path(path)
        self.judged_alike: list[str] = []
        if self.path.is_symlink() and (self.path.parent / _CARD).exists():
            raise ConfigError(
                f"{self.path} is a link that leads out of its run folder, and what it leads to is not ours to write; "
                "remove it, or begin a new run"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            told = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot make the run folder {str(self.path)!r}: {told}; choose another") from error
        self._lock = self._hold()
        try:
            self._settle(dict(identity))
            remove_leftovers(self.path)
            self.cache = MetricCache(self.path / _ANSWERS)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.cache.close()
        finally:
            os.close(self._lock)  # releases the lock, as the death of the process does

    def _hold(self) -> int:
        try:
            # A link is not followed: what it leads to is not ours to write.
            handle = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise self._not_writable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0)
            os.close(handle)
            raise RunLocked(
                f"the run folder {self.path} is in use by another process "
                f"(number {holder.decode() if holder.isdigit() else 'unknown'}); "
                "wait for it, stop it, or choose another folder"
            ) from error
        except OSError as error:
            os.close(handle)
            raise self._not_writable(error) from error
        return handle

    def _not_writable(self, error: OSError) -> ConfigError:
        told = error.strerror or error
        return ConfigError(
            f"cannot write to the run folder {self.path}: {told}. Make room or rights, or choose another"
        )

    def _settle(self, identity: dict[str, Any]) -> None:
        """Write the card of a new run, or compare with the one that is there."""
        card = self.path / _CARD
        if not card.exists():
            strangers = sorted(one.name for one in self.path.iterdir() if not one.name.startswith("."))
            if strangers:
                told = ", ".join(name if name.isprintable() else repr(name) for name in strangers[:3])
                raise ConfigError(f"{self.path} is not empty and holds no run ({told}); choose a new folder")
            self.judged_alike = _judged_alike(self.path, identity)
            text = {"kind": _KIND, "version": _VERSION, "identity": identity, "environment": describe_environment()}
            write_sealed(card, text | {"judged_alike": self.judged_alike})
            card.chmod(0o600)  # it names data and metrics of its owner
            return
        found = read_identity(self.path)
        known = read_sealed(card).get("judged_alike", [])
        self.judged_alike = [name for name in known if isinstance(name, str)] if isinstance(known, list) else []
        if found != identity:
            changed = sorted(k for k in found.keys() | identity.keys() if found.get(k) != identity.get(k))
            told = ", ".join(
                f"{k if k.isidentifier() and len(k) < 80 else shown(k)} was {shown(found.get(k))} and is now "
                f"{shown(identity.get(k))}"
                for k in changed[:4]
            )
            raise OtherRun(
                f"the folder {self.path} holds another run: {told}. Choose another folder, or give what it was begun "
                f"with"
            )


def _judged_alike(folder: Path, identity: Identity) -> list[str]:
    """Names of other runs beside `folder`, in the same parent, that were judged by the same acceptance rows."""
    path, found = folder.absolute(), []
    if identity.get("holdout") is None:
        return []
    for card in sorted(path.parent.glob(f"*/{_CARD}")):
        if card.parent == path:
            continue
        try:
            other = read_identity(card.parent)
        except CheckpointError:  # not a run of this version: it says nothing
            continue
        if other.get("holdout") == identity["holdout"] and other != identity:
            found.append(card.parent.name)
    return found[:_MOST_NAMED]


def read_identity(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What a run folder says of its run.

    Raises:
        CheckpointError: there is no card, or it is not one.
    """
    card = Path(folder) / _CARD
    try:
        found = read_sealed(card)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a run folder: it has no {_CARD}. Give the folder of a run.") from error
    identity = found.get("identity")
    plain = isinstance(identity, dict) and all(
        isinstance(v, str | int | float | bool | None) for v in identity.values()
    )
    if not plain or (found.get("kind"), found.get("version")) != (_KIND, _VERSION):
        raise CheckpointError(f"{card} does not describe a run of this version. Restore it, or begin a new run.")
    return dict(identity or {})
