"""The one-call job: search, acceptance test, run folder."""

from __future__ import annotations

from .events import Began, Checked, Event, Observed, StageBegan, Watcher
from .learn import learn_value
from .one_call import optimize
from .outcome import Outcome, load
from .stages import Candidate

__all__ = [
    "Began",
    "Candidate",
    "Checked",
    "Event",
    "Observed",
    "Outcome",
    "StageBegan",
    "Watcher",
    "learn_value",
    "load",
    "optimize",
]
