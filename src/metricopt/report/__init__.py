"""The data of the report of one run: as plain data, and as one HTML page that needs nothing else."""

from __future__ import annotations

from .compared import compare, write_compared
from .front_page import FrontModelShown, FrontShown, render_front, write_front
from .loss_search_data import CurveShown, GenerationShown, LossSearch, LossShown
from .page import render, write
from .report_data import (
    DETECTIONS,
    DIFFERENT,
    ERRORS,
    MAX_CLASSES,
    MAX_SERIES,
    SAME,
    Confusion,
    Histogram,
    OnTestRows,
    Point,
    Prediction,
    ReportData,
    Run,
    Stage,
    Term,
)

__all__ = [
    "DETECTIONS",
    "DIFFERENT",
    "ERRORS",
    "MAX_CLASSES",
    "MAX_SERIES",
    "SAME",
    "Confusion",
    "CurveShown",
    "FrontModelShown",
    "FrontShown",
    "GenerationShown",
    "Histogram",
    "LossSearch",
    "LossShown",
    "OnTestRows",
    "Point",
    "Prediction",
    "ReportData",
    "Run",
    "Stage",
    "Term",
    "compare",
    "render",
    "render_front",
    "write",
    "write_compared",
    "write_front",
]
