"""The metrics that come with the package, in one registry."""

from __future__ import annotations

import inspect
from typing import Any

from ..._errors import ConfigError
from ..._metric_names import ALIASES
from ..._registry import Registry
from ..metric import Metric
from . import agreement, overlap, ranking, rates, recall_at_k
from .card import MetricCard, MetricEntry

METRICS: Registry[MetricEntry] = Registry("metric", aliases=ALIASES)
for _card, _factory in (
    (overlap.MCR, overlap.mcr),
    (overlap.ACCURACY, overlap.accuracy),
    (overlap.F1, overlap.f1),
    (overlap.F_BETA, overlap.f_beta),
    (overlap.JACCARD, overlap.jaccard),
    (rates.PRECISION, rates.precision),
    (rates.RECALL, rates.recall),
    (rates.SPECIFICITY, rates.specificity),
    (rates.FALSE_POSITIVE_RATE, rates.false_positive_rate),
    (rates.SELECTION_RATE, rates.selection_rate),
    (agreement.G_MEAN, agreement.g_mean),
    (agreement.BALANCED_ACCURACY, agreement.balanced_accuracy),
    (agreement.MCC, agreement.mcc),
    (agreement.KAPPA, agreement.kappa),
    (ranking.AUROC, ranking.auroc),
    (ranking.AVERAGE_PRECISION, ranking.average_precision),
    (recall_at_k.RECALL_AT_K, recall_at_k.recall_at_k),
    (ranking.PRECISION_AT_RECALL, ranking.precision_at_recall),
):
    METRICS.add(_card.name, MetricEntry(card=_card, factory=_factory))


def get_metric(name: str, **options: Any) -> Metric:
    """The registered metric `name` (or an alias of it), made with `options`.

    Raises:
        ConfigError: no metric has that name (the closest one is suggested), or an option is missing, unknown, or
            has a value that cannot work.

    >>> get_metric("mcr").higher_is_better
    False
    >>> get_metric("recall_at_k", k=5).name
    'recall_at_k(k=5)'
    """
    entry = METRICS[name]
    parameters = inspect.signature(entry.factory).parameters
    unknown = sorted(set(options) - set(parameters))
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.name not in options]
    if unknown or missing:
        raise ConfigError(
            f"metric {entry.card.name!r} takes the options {', '.join(parameters) or 'none'}; "
            f"got unknown {unknown or 'none'}, missing {missing or 'none'}"
            + (f"; try {', '.join(f'{k}={v}' for k, v in entry.card.options.items())}" if missing else "")
        )
    return entry.factory(**options)


__all__ = ["METRICS", "MetricCard", "MetricEntry", "get_metric"]
