"""The AnyLoss study: do losses made from a metric beat cross-entropy, and cross-entropy with a tuned threshold?"""

from __future__ import annotations

from .cell import Cell, run_cell
from .spec import PRESETS, StudySpec
from .study import Study, make_study

__all__ = ["PRESETS", "Cell", "Study", "StudySpec", "make_study", "run_cell"]
