"""Rows of a table from outside: they know no phi. Whoever has some registers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._registry import Registry
from ..methods import MethodCard
from ..metrics import Metric
from ..tasks import Materials


@dataclass(frozen=True, kw_only=True)
class ReferenceEntry:
    """What tables say of a reference, and what makes its row: `run(materials, metric, calls) -> figures`."""

    card: MethodCard
    run: Callable[[Materials, Metric, int], dict[str, Any]]


REFERENCES: Registry[ReferenceEntry] = Registry("reference")
