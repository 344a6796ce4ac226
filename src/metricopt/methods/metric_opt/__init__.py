"""MetricOpt: a value function that reads scores, several proposers, one memory."""

from __future__ import annotations

from .config import PROPOSERS, MetricOptConfig
from .method import MetricOpt

__all__ = ["PROPOSERS", "MetricOpt", "MetricOptConfig"]
