"""MetricOpt (paper Algorithm 1) with every open choice as a setting."""

from __future__ import annotations

from .config import PAPER_LITERAL, MetricOptConfig
from .method import MetricOpt
from .transfer import Transfer

__all__ = ["PAPER_LITERAL", "MetricOpt", "MetricOptConfig", "Transfer"]
