"""The pictures of a report, one file each, in the order in which they stand on the page."""

from __future__ import annotations

from collections.abc import Callable

from ..figure import Absent, Figure
from ..report_data import ReportData
from .anytime import anytime
from .classes import classes
from .confusion import confusion
from .embedding import embedding
from .loss_search import LOSS_SEARCH_FIGURES
from .predictions import predictions
from .scores import scores
from .terms import terms
from .trajectories import trajectories

#: Each draws one picture of a report, or says why there is none; None where it does not belong to this kind of run.
FIGURES: tuple[Callable[[ReportData], Figure | Absent | None], ...] = (
    terms,
    classes,
    confusion,
    scores,
    anytime,
    trajectories,
    predictions,
    embedding,
)

#: What a search for losses shows of the two networks that are compared.
_OF_NETWORKS: tuple[Callable[[ReportData], Figure | Absent], ...] = (classes, confusion, scores)


def figures_of(report_data: ReportData) -> tuple[Callable[[ReportData], Figure | Absent | None], ...]:
    """The pictures of this kind of run."""
    return FIGURES if report_data.loss_search is None else (*LOSS_SEARCH_FIGURES, *_OF_NETWORKS)


__all__ = ["FIGURES", "figures_of"]
