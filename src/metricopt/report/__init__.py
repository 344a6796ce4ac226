"""The story of one run as plain data."""

from __future__ import annotations

from .story import MAX_CLASSES, MAX_SERIES, Confusion, Histogram, Point, Prediction, Run, Stage, Story

__all__ = ["MAX_CLASSES", "MAX_SERIES", "Confusion", "Histogram", "Point", "Prediction", "Run", "Stage", "Story"]
