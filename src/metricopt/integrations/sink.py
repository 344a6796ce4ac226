"""Watchers of `optimize` that write what happens to a logging service."""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from .._errors import ConfigError
from ..job import Began, Checked, Event, Observed, StageBegan

#: What the test of a proposal leaves behind, under the prefix of its log.
VERDICT = ("before", "after", "gain_low", "gain_high", "accepted")


class Log(ABC):
    """One run in a logging service, open until `finish`.

    Args:
        prefix: in front of every name, without the slash.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @abstractmethod
    def settings(self, values: Mapping[str, str | int | float | bool]) -> None:
        """What describes the run; called once, at the beginning."""

    @abstractmethod
    def scalar(self, name: str, value: float, step: int) -> None: ...

    @abstractmethod
    def text(self, name: str, text: str, step: int) -> None: ...

    @abstractmethod
    def finish(self, *, done: bool) -> None:
        """Write out what is held back and give up every resource; `done` is False for a run that broke off."""


class Sink(ABC):
    """A watcher that opens a log at `Began`, writes every event to it, and closes it at `Checked`.

    Where the run breaks off before, `optimize` closes the log; so do `with sink:`, `close`, and at the latest the end
    of the sink or of Python. A sink may watch several runs, one after the other; each gets a log of its own.
    """

    def __init__(self) -> None:
        self._log: Log | None = None
        self._closer: weakref.finalize[..., Sink] | None = None
        self._runs = 0
        self._call = 0

    def __call__(self, event: Event) -> None:
        try:
            self._take(event)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close a log that is still open, as one that broke off."""
        self._finish(done=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _open(self, number: int) -> Log:
        """A new log for the `number`-th run of this sink, counted from 1."""

    def _take(self, event: Event) -> None:
        if isinstance(event, Began):
            self._begin(event)
            return
        log = self._log
        if log is None:
            raise ConfigError(f"{type(self).__name__} got {type(event).__name__} before Began, or was closed before")
        match event:
            case StageBegan():
                log.text(f"{log.prefix}/stage", f"{event.stage}: {event.title}", self._call)
            case Observed():
                self._call = event.call
                log.scalar(f"{log.prefix}/{event.stage}/value", event.value, event.call)
                log.scalar(f"{log.prefix}/{event.stage}/best", event.best, event.call)
            case Checked():
                figures = (event.before, event.after, event.low, event.high, float(event.accepted))
                for name, value in zip(VERDICT, figures, strict=True):
                    log.scalar(f"{log.prefix}/{name}", value, self._call)
                log.text(f"{log.prefix}/verdict", event.reason, self._call)
                self._finish(done=True)

    def _begin(self, event: Began) -> None:
        self.close()
        self._runs += 1
        self._call = 0
        log = self._open(self._runs)
        self._log = log
        # The log knows nothing of the sink, so a sink that nobody holds any more is collected and its log closed.
        self._closer = weakref.finalize(self, log.finish, done=False)
        values = dict(event.settings)
        values.update(metric=event.metric, higher_is_better=event.higher_is_better, total_calls=event.total_calls)
        log.settings({f"{log.prefix}/{name}": "none" if v is None else v for name, v in values.items()})

    def _finish(self, *, done: bool) -> None:
        log, closer = self._log, self._closer
        self._log = self._closer = None
        if closer is not None:
            closer.detach()
        if log is not None:
            log.finish(done=done)
