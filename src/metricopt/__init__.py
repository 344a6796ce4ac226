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
    from .adapters import AdaptedModel, ConditionalNorm, Film, InputBias, LoRA, OutputShift, attach
    from .losses import get_loss
    from .methods import MetricOpt
    from .metrics import Budget, Metric, as_metric, from_sklearn, from_torchmetrics, get_metric
    from .problem import Problem
    from .search import Guide, GuidedES, LossOnly, ValueGradient, finetune
    from .value import Trajectories, ValueFunction

__version__ = "0.1.0"

#: Public name -> module that holds it. At most 25: everything else stays under its own module.
_FACE: dict[str, str] = {
    "MetricOptError": "._errors",
    "AdaptedModel": ".adapters",
    "ConditionalNorm": ".adapters",
    "Film": ".adapters",
    "InputBias": ".adapters",
    "LoRA": ".adapters",
    "OutputShift": ".adapters",
    "attach": ".adapters",
    "get_loss": ".losses",
    "Budget": ".metrics",
    "Metric": ".metrics",
    "as_metric": ".metrics",
    "from_sklearn": ".metrics",
    "from_torchmetrics": ".metrics",
    "get_metric": ".metrics",
    "MetricOpt": ".methods",
    "Problem": ".problem",
    "Guide": ".search",
    "GuidedES": ".search",
    "LossOnly": ".search",
    "ValueGradient": ".search",
    "finetune": ".search",
    "Trajectories": ".value",
    "ValueFunction": ".value",
}

__all__ = [
    "AdaptedModel",
    "Budget",
    "ConditionalNorm",
    "Film",
    "Guide",
    "GuidedES",
    "InputBias",
    "LoRA",
    "LossOnly",
    "Metric",
    "MetricOpt",
    "MetricOptError",
    "OutputShift",
    "Problem",
    "Trajectories",
    "ValueFunction",
    "ValueGradient",
    "as_metric",
    "attach",
    "finetune",
    "from_sklearn",
    "from_torchmetrics",
    "get_loss",
    "get_metric",
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
