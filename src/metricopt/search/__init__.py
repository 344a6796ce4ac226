"""Propose the next phi: gradient sources, the plug-in, and the finetuning loop."""

from __future__ import annotations

from .blend import Blend
from .finetune import Event, OptimizerFactory, finetune
from .guide import Guide
from .guided_es import GuidedES
from .loss_only import LossOnly
from .source import GradientSource, SearchState
from .value_gradient import ProjectedGradient, ValueGradient
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
