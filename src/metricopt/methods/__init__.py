"""One `run(problem, seed=)` each: MetricOpt, every rival, every control."""

from __future__ import annotations

from .as_trained import AsTrained
from .cma_es import CmaEs
from .loss_finetune import LossFinetune
from .method import Method, MethodCard, Proposal, Result, Trace
from .metric_opt import PROPOSERS, MetricOpt, MetricOptConfig
from .phi_value import PAPER_LITERAL, PhiMetricOpt, PhiValueConfig
from .random_search import RandomSearch
from .registry import METHODS, MethodEntry
from .threshold import ThresholdTuning
from .trust_region_bo import TrustRegionBO

__all__ = [
    "METHODS",
    "PAPER_LITERAL",
    "PROPOSERS",
    "AsTrained",
    "CmaEs",
    "LossFinetune",
    "Method",
    "MethodCard",
    "MethodEntry",
    "MetricOpt",
    "MetricOptConfig",
    "PhiMetricOpt",
    "PhiValueConfig",
    "Proposal",
    "RandomSearch",
    "Result",
    "ThresholdTuning",
    "Trace",
    "TrustRegionBO",
]
