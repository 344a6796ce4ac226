"""The story of one run: as plain data, and as one HTML page that needs nothing else."""

from __future__ import annotations

from .page import render, write
from .story import MAX_CLASSES, MAX_SERIES, Confusion, Histogram, OnTestRows, Point, Prediction, Run, Stage, Story

__all__ = [
    "MAX_CLASSES",
    "MAX_SERIES",
    "Confusion",
    "Histogram",
    "OnTestRows",
    "Point",
    "Prediction",
    "Run",
    "Stage",
    "Story",
    "render",
    "write",
]
