"""Messages of the library in the words of the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from .._errors import MetricError, MetricOptError

#: Where the arguments of the program are kept while it runs, so that it can name the command that goes on.
ARGUMENTS = "metricopt.arguments"

_WORDS = (
    (re.compile(r"bounds=\(low, high\)"), "--bounds LOW HIGH"),
    (re.compile(r"Choose another folder, or give what it was begun with"), "choose another one with --run"),
    (re.compile(r"higher_is_better=True"), "--maximize"),
    (re.compile(r"higher_is_better=False"), "--minimize"),
    (re.compile(r"pass reads= one of"), "pass --reads with one of"),
    (re.compile(r"with reads= what"), "with --reads what"),
    (re.compile(r"acceptance=None"), "--acceptance none"),
    (re.compile(r", or make a new Metric with dataclasses.replace"), ""),
    (re.compile(r"acceptance=\(inputs, targets\)"), "more rows"),
)


def in_words(error: MetricOptError) -> str:
    """The message with options where the library names parameters: one line, and what a failed metric said below it.

    >>> in_words(MetricOptError("cost has no direction; pass higher_is_better=True or higher_is_better=False"))
    'cost has no direction; pass --maximize or --minimize'
    """
    message = str(error)
    for pattern, words in _WORDS:
        message = pattern.sub(words, message)
    return message if isinstance(error, MetricError) else " ".join(message.split())


def as_command(arguments: Sequence[str]) -> str:
    """The command line that has these arguments, to be pasted into a shell.

    >>> as_command(["optimize", "my data.csv", "--metric", "f1"])
    "metricopt optimize 'my data.csv' --metric f1"
    """
    return shlex.join(["metricopt", *arguments])


def listed_names(text: str) -> tuple[str, ...]:
    """The parts of a list that is separated by commas.

    >>> listed_names("f1, mcr,")
    ('f1', 'mcr')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())
