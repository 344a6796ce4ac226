"""The metrics that come with the package, in one registry."""

from __future__ import annotations

from typing import Any

from ..._registry import Registry
from ..metric import Metric
from . import overlap, ranking
from .card import MetricCard, MetricEntry

METRICS: Registry[MetricEntry] = Registry("metric")
for _card, _factory in (
    (overlap.MCR, overlap.mcr),
    (overlap.ACCURACY, overlap.accuracy),
    (overlap.F1, overlap.f1),
    (overlap.F_BETA, overlap.f_beta),
    (overlap.JACCARD, overlap.jaccard),
    (ranking.AVERAGE_PRECISION, ranking.average_precision),
):
    METRICS.add(_card.name, MetricEntry(card=_card, factory=_factory))


def get_metric(name: str, **options: Any) -> Metric:
    """The registered metric `name`, made with `options`.

    Raises:
        ConfigError: no metric has that name (the closest one is suggested), or an option cannot work.

    >>> get_metric("mcr").higher_is_better
    False
    """
    return METRICS[name].factory(**options)


__all__ = ["METRICS", "MetricCard", "MetricEntry", "get_metric"]
