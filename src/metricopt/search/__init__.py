"""Propose the next phi: gradient sources, the plug-in, and the finetuning loop."""

from __future__ import annotations

from .finetune import Event, OptimizerFactory, finetune
from .guide import Guide
from .guided_es import GuidedES
from .proposers import Moves, Pool, Worth, climb_surrogates, mixtures
from .score_view import Batch, ScoreView
from .source import GradientSource, SearchState
from .sources import Blend, LossOnly, ProjectedGradient, ValueGradient
from .value_source import Scaled, Value

__all__ = [
    "Batch",
    "Blend",
    "Event",
    "GradientSource",
    "Guide",
    "GuidedES",
    "LossOnly",
    "Moves",
    "OptimizerFactory",
    "Pool",
    "ProjectedGradient",
    "Scaled",
    "ScoreView",
    "SearchState",
    "Value",
    "ValueGradient",
    "Worth",
    "climb_surrogates",
    "finetune",
    "mixtures",
]
