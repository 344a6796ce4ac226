"""Asking again: at most so often, only where another attempt can help, and with an error that says what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn, final

from ..._errors import MetricError
from .tail import quoted


@final
class AttemptFailed(Exception):
    """One attempt gave no number.

    Args:
        why: how it failed, as the end of a sentence that begins with what was asked.
        todo: what to do about it.
        again: whether the failure can be gone the next time.
        said: title -> text that came back; the last lines of it are quoted.
        wait: the least seconds before the next attempt, if the other side named them.
    """

    def __init__(
        self, why: str, *, todo: str, again: bool, said: Mapping[str, str] | None = None, wait: float = 0.0
    ) -> None:
        super().__init__(why)
        self.why = why
        self.todo = todo
        self.again = again
        self.said = {} if said is None else said
        self.wait = wait


def in_attempts(
    once: Callable[[], float],
    *,
    asked: str,
    retries: int,
    before_next: Callable[[int, AttemptFailed], None] = lambda attempt, failure: None,
) -> float:
    """The number that `once` returns, asked for at most 1 + `retries` times.

    Args:
        once: one attempt; it raises AttemptFailed.
        asked: who is asked, for the message.
        retries: how often a failure that may pass is tried again.
        before_next: called with the number of the attempt that failed, from 1, before the next one.

    Raises:
        MetricError: the last attempt failed, or one failed for good.

    >>> answers = iter([AttemptFailed("was busy", todo="wait", again=True), 0.5])
    >>> def once():
    ...     answer = next(answers)
    ...     if isinstance(answer, AttemptFailed):
    ...         raise answer
    ...     return answer
    >>> in_attempts(once, asked="the oracle", retries=1)
    0.5
    """
    attempt = 1
    while True:
        try:
            return once()
        except AttemptFailed as failure:
            if not failure.again or attempt > retries:
                _give_up(failure, asked, attempt, retries)
            before_next(attempt, failure)
        attempt += 1


def _give_up(failure: AttemptFailed, asked: str, attempt: int, retries: int) -> NoReturn:
    count = f"attempt {attempt} of {1 + retries}"
    if not failure.again and attempt <= retries:
        count += ", the rest would end the same"
    said = "".join(f"\n  last lines of {title}:{quoted(text)}" for title, text in failure.said.items())
    raise MetricError(f"{asked} {failure.why} ({count}); {failure.todo}{said}") from failure.__cause__
