"""Differentiable stand-ins for metrics: `(scores, targets) -> scalar`, mean over examples.

`get_loss` makes one by name, `for_metric` finds those that aim at a metric, `anyloss` builds one from a formula.
"""

from __future__ import annotations

from typing import Any

from .._types import LossFunction
from .card import Card, LossEntry
from .catalogue import LOSSES
from .classification.cross_entropy import cross_entropy
from .confusion.anyloss import anyloss
from .confusion.soft_f_beta import soft_f_beta
from .for_metric import aimed_loss, for_metric


def get_loss(name: str, **options: Any) -> LossFunction:
    """The registered loss `name` with its options set.

    Raises:
        ConfigError: no loss has that name (the message suggests the closest one), or an option is unknown or missing.

    >>> import torch
    >>> float(get_loss("cross_entropy")(torch.tensor([30.0]), torch.tensor([1]))) < 1e-6
    True
    """
    return LOSSES[name].factory(**options)


__all__ = [
    "LOSSES",
    "Card",
    "LossEntry",
    "aimed_loss",
    "anyloss",
    "cross_entropy",
    "for_metric",
    "get_loss",
    "soft_f_beta",
]
