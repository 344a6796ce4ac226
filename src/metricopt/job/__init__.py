"""The one-call job: search, acceptance test, run folder."""

from __future__ import annotations

from .events import Began, Checked, Event, Observed, StageBegan, Watcher
from .evolved import Evolved
from .front import Front, FrontModel, optimize_front
from .front_search import Rating
from .learn import learn_value
from .loss_search import evolve
from .one_call import optimize
from .outcome import Outcome, load
from .stages import Candidate

__all__ = [
    "Began",
    "Candidate",
    "Checked",
    "Event",
    "Evolved",
    "Front",
    "FrontModel",
    "Observed",
    "Outcome",
    "Rating",
    "StageBegan",
    "Watcher",
    "evolve",
    "learn_value",
    "load",
    "optimize",
    "optimize_front",
]
