"""Propose the next phi: gradient sources, the plug-in, and the finetuning loop."""

from __future__ import annotations

from .finetune import Event, OptimizerFactory, finetune
from .guide import Guide
from .guided_es import GuidedES
from .source import GradientSource, SearchState
from .sources import Blend, LossOnly, ProjectedGradient, ValueGradient
from .value_source import Scaled, Value

__all__ = [
    "Blend",
    "Event",
    "GradientSource",
    "Guide",
    "GuidedES",
    "LossOnly",
    "OptimizerFactory",
    "ProjectedGradient",
    "Scaled",
    "SearchState",
    "Value",
    "ValueGradient",
    "finetune",
]
