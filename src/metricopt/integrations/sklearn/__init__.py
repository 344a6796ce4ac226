"""Estimators for scikit-learn: `MetricOptClassifier` and `MetricOptRegressor`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .classifier import MetricOptClassifier
    from .regressor import MetricOptRegressor

#: scikit-learn is slow to import, so each estimator is imported when it is first used.
_HOMES = {"MetricOptClassifier": ".classifier", "MetricOptRegressor": ".regressor"}

__all__ = ["MetricOptClassifier", "MetricOptRegressor"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name], __name__), name)
