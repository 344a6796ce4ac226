"""The pictures of a report, one file each, in the order in which they stand on the page."""

from __future__ import annotations

from collections.abc import Callable

from ..figure import Absent, Figure
from ..report_data import ReportData
from .anytime import anytime
from .classes import classes
from .confusion import confusion
from .embedding import embedding
from .predictions import predictions
from .scores import scores
from .trajectories import trajectories

#: Each draws one picture of a report, or says why there is none.
FIGURES: tuple[Callable[[ReportData], Figure | Absent], ...] = (
    classes,
    confusion,
    scores,
    anytime,
    trajectories,
    predictions,
    embedding,
)

__all__ = ["FIGURES"]
