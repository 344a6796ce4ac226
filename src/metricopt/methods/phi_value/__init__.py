"""The paper's MetricOpt (Algorithm 1): a value function of phi, with every open choice as a setting."""

from __future__ import annotations

from .config import PAPER_LITERAL, PhiValueConfig
from .method import PhiMetricOpt

__all__ = ["PAPER_LITERAL", "PhiMetricOpt", "PhiValueConfig"]
