"""What the exit status of the program says."""

from __future__ import annotations

from .._errors import JobFailed, MetricError, MetricOptError, RunLocked

#: Finished, whether or not the model could be improved.
DONE = 0
#: A bug, told with its traceback; or runs of a table that failed.
FAILED = 1
#: Something that was given cannot work: an argument, a file, a metric. Nothing began.
WRONG_INPUT = 2
#: Finished, and the model stays as it was; only with --fail-if-unchanged.
UNCHANGED = 3
#: The metric failed on the way. What it rated is kept.
METRIC_FAILED = 4
#: Another process holds the run folder.
LOCKED = 5
#: Ctrl-C. What was finished is kept.
INTERRUPTED = 130


def exit_code_of(error: MetricOptError) -> int:
    """The status for an error that is told in one line.

    >>> exit_code_of(MetricError("it printed no number")), exit_code_of(MetricOptError("anything else"))
    (4, 2)
    """
    if isinstance(error, MetricError | JobFailed):
        return METRIC_FAILED
    return LOCKED if isinstance(error, RunLocked) else WRONG_INPUT
