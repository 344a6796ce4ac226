"""Tables of methods x metrics x seeds: specs, the runner, and what it prints."""

from __future__ import annotations

from .kept_rows import Failure, failure_store
from .run import Run
from .run_one import run_one
from .run_table import run_table
from .spec import PaperFigure, TableSpec

__all__ = ["Failure", "PaperFigure", "Run", "TableSpec", "failure_store", "run_one", "run_table"]
