"""MetricOpt (paper Algorithm 1) with every open choice as a setting."""

from __future__ import annotations

from .config import MetricOptConfig
from .method import MetricOpt
from .presets import PAPER_LITERAL
from .transfer import Transfer

__all__ = ["PAPER_LITERAL", "MetricOpt", "MetricOptConfig", "Transfer"]
