"""Tune a trained PyTorch model for the metric it is judged by.

A trained model is a frozen function of one small vector phi. A metric turns phi into a number.
Everything else proposes the next phi.

Names are imported when first used (PEP 562), so `import metricopt` costs little more than nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._errors import MetricOptError
    from .adapters import Film, InputBias, LoRA, OutputShift, attach
    from .evolution import SymbolicLoss
    from .integrations.sklearn import MetricOptClassifier, MetricOptRegressor
    from .job import Evolved, Front, Outcome, evolve, learn_value, load, optimize, optimize_front
    from .losses import get_loss
    from .methods import MetricOpt
    from .metrics import Budget, Metric, as_metric, constrained, from_sklearn, from_torchmetrics, get_metric
    from .problem import Problem
    from .search import Guide, GuidedES
    from .value import LearnedLoss, LearnedValue, ValueFunction
    from .workload import Examples, StreamedWorkload, TensorWorkload, TrainingLoss

__version__ = "0.1.0"

#: Public name -> module that holds it. What a user of one call or one loop needs; the rest stays under its own module.
_FACE: dict[str, str] = {
    "optimize": ".job",
    "optimize_front": ".job",
    "Front": ".job",
    "load": ".job",
    "learn_value": ".job",
    "evolve": ".job",
    "Evolved": ".job",
    "SymbolicLoss": ".evolution",
    "Outcome": ".job",
    "MetricOptClassifier": ".integrations.sklearn",
    "MetricOptRegressor": ".integrations.sklearn",
    "Metric": ".metrics",
    "Budget": ".metrics",
    "as_metric": ".metrics",
    "get_metric": ".metrics",
    "constrained": ".metrics",
    "from_sklearn": ".metrics",
    "from_torchmetrics": ".metrics",
    "get_loss": ".losses",
    "attach": ".adapters",
    "Film": ".adapters",
    "InputBias": ".adapters",
    "LoRA": ".adapters",
    "OutputShift": ".adapters",
    "Problem": ".problem",
    "MetricOpt": ".methods",
    "Guide": ".search",
    "GuidedES": ".search",
    "LearnedLoss": ".value",
    "LearnedValue": ".value",
    "ValueFunction": ".value",
    "Examples": ".workload",
    "TensorWorkload": ".workload",
    "StreamedWorkload": ".workload",
    "TrainingLoss": ".workload",
    "MetricOptError": "._errors",
}

__all__ = [
    "Budget",
    "Evolved",
    "Examples",
    "Film",
    "Front",
    "Guide",
    "GuidedES",
    "InputBias",
    "LearnedLoss",
    "LearnedValue",
    "LoRA",
    "Metric",
    "MetricOpt",
    "MetricOptClassifier",
    "MetricOptError",
    "MetricOptRegressor",
    "Outcome",
    "OutputShift",
    "Problem",
    "StreamedWorkload",
    "SymbolicLoss",
    "TensorWorkload",
    "TrainingLoss",
    "ValueFunction",
    "as_metric",
    "attach",
    "constrained",
    "evolve",
    "from_sklearn",
    "from_torchmetrics",
    "get_loss",
    "get_metric",
    "learn_value",
    "load",
    "optimize",
    "optimize_front",
]


def __getattr__(name: str) -> object:
    module = _FACE.get(name)
    if module is None:
        raise AttributeError(f"module 'metricopt' has no attribute {name!r}; its public names are: {', '.join(_FACE)}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_FACE])
