"""From a trained network and rows that it has not seen to the outcome of `optimize`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..._types import LossFunction
from ...apps.table.model import TableRows
from ...job import Outcome, optimize
from ...metrics import Metric
from .fit_settings import FitSettings


def tune_network(
    network: nn.Module,
    metric: Metric,
    *,
    rows: TableRows,
    held_out: TableRows,
    loss: str | LossFunction,
    settings: FitSettings,
    class_names: Sequence[str] | None = None,
) -> Outcome:
    """Tune a network on rows that it has not seen, through whatever adapters fit it."""
    return optimize(
        network,
        metric=metric,
        train=(rows.inputs, rows.targets),
        val=(held_out.inputs, held_out.targets),
        loss=loss,
        method=settings.method,
        budget=settings.calls,
        acceptance=settings.acceptance,
        confidence=settings.confidence,
        device=settings.device,
        seed=settings.seed,
        class_names=class_names,
        quiet=not settings.verbose,
    )
