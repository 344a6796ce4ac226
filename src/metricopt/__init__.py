"""Tune a trained PyTorch model for the metric it is judged by.

A trained model is a frozen function of one small vector phi. A metric turns phi into a number.
Everything else proposes the next phi.

Names are imported when first used (PEP 562), so `import metricopt` costs little more than nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._errors import MetricOptError as MetricOptError

__version__ = "0.1.0"

#: Public name -> module that holds it. At most 25: everything else stays under its own module.
_FACE: dict[str, str] = {
    "MetricOptError": "._errors",
}

__all__ = ["MetricOptError"]


def __getattr__(name: str) -> object:
    module = _FACE.get(name)
    if module is None:
        raise AttributeError(f"module 'metricopt' has no attribute {name!r}; its public names are: {', '.join(_FACE)}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_FACE])
