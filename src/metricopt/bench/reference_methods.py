"""Rows from outside: boosted trees on the same rows, with and without a tuned threshold. They know no phi."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .._registry import Registry
from ..methods import MethodCard
from ..metrics import Budget, Metric
from ..tasks import Materials, ReferenceScores, boosted_trees, tuned_shift


@dataclass(frozen=True, kw_only=True)
class ReferenceEntry:
    """What tables say of a reference, and whether its threshold is tuned."""

    card: MethodCard
    tuned: bool


REFERENCES: Registry[ReferenceEntry] = Registry("reference")
for _name, _title, _tuned in (
    ("boosted_trees", "boosted trees (HistGradientBoosting)", False),
    ("boosted_trees_threshold", "boosted trees, tuned threshold", True),
):
    REFERENCES.add(_name, ReferenceEntry(card=MethodCard(title=_title, family="outside reference"), tuned=_tuned))


def run_reference(name: str, materials: Materials, metric: Metric, *, calls: int) -> dict[str, Any]:
    """The figures of one reference row: raw values on the validation and test rows, calls and seconds.

    The threshold is tuned on the validation rows with at most `calls` metric calls.
    """
    scores = boosted_trees(materials)
    meter = Budget(calls=calls).start()
    counted = replace(metric, fn=_counting(metric.fn, meter.spend))
    began = time.perf_counter()
    # One call measures the scores as they are.
    tuned = REFERENCES[name].tuned and calls > 1
    shift = tuned_shift(scores.val, materials.val.y, counted, candidates=calls - 1) if tuned else 0.0
    seconds = scores.seconds + time.perf_counter() - began
    return {**_values(scores, materials, metric, shift), "calls": meter.calls, "seconds": seconds, "diagnostics": {}}


def _counting(fn: Callable[..., Any], spend: Callable[[int], None]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        spend(1)
        return fn(*arguments)

    return counted


def _values(scores: ReferenceScores, materials: Materials, metric: Metric, shift: float) -> dict[str, float]:
    def value(part: Tensor, targets: Tensor, by: float) -> float:
        return metric(part.double() + by, targets)

    return {
        "val": value(scores.val, materials.val.y, shift),
        "test": value(scores.test, materials.test.y, shift),
        "val_start": value(scores.val, materials.val.y, 0.0),
        "test_start": value(scores.test, materials.test.y, 0.0),
    }
