"""What a metric is told of each row beside its target: a group, a cost, the price of an order."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple


class Judged(NamedTuple):
    """Targets, and what the metric alone is told of each row; rows first in both."""

    targets: Any
    beside: Any


def takes_beside(fn: Callable[..., Any]) -> bool:
    """Whether a metric's function takes it, as a third argument without a default.

    >>> takes_beside(lambda scores, targets, group: 0.0), takes_beside(lambda scores, targets, k=3: 0.0)
    (True, False)
    """
    stated = getattr(fn, "takes_beside", None)
    if stated is not None:
        return bool(stated)
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # built-in callables have none
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(needed) == 3
