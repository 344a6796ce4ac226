"""Differentiable stand-ins for metrics: `(scores, targets) -> scalar`, mean over examples."""

from __future__ import annotations

from functools import partial
from typing import Any

from .._registry import Registry
from .._types import LossFunction
from . import cross_entropy as _cross_entropy
from . import soft_f_beta as _soft_f_beta
from .card import Card, LossEntry

cross_entropy = _cross_entropy.cross_entropy
soft_f_beta = _soft_f_beta.soft_f_beta

LOSSES: Registry[LossEntry] = Registry("loss")
for _card, _function in ((_cross_entropy.CARD, cross_entropy), (_soft_f_beta.CARD, soft_f_beta)):
    LOSSES.add(_card.name, LossEntry(card=_card, factory=partial(partial, _function)))


def get_loss(name: str, **options: Any) -> LossFunction:
    """The registered loss `name` with its options set.

    Raises:
        ConfigError: no loss has that name; the message suggests the closest one.

    >>> import torch
    >>> float(get_loss("cross_entropy")(torch.tensor([30.0]), torch.tensor([1]))) < 1e-6
    True
    """
    return LOSSES[name].factory(**options)


def for_metric(metric: object) -> list[LossEntry]:
    """The losses aimed at `metric` (a `Metric` or a name), the most direct first.

    >>> [entry.card.name for entry in for_metric("f1")]
    ['soft_f_beta']
    """
    name = metric if isinstance(metric, str) else str(getattr(metric, "name", ""))
    aimed = [LOSSES[key] for key in LOSSES if name in LOSSES[key].card.aims_at]
    return sorted(aimed, key=lambda entry: entry.card.aims_at.index(name))


__all__ = ["LOSSES", "Card", "LossEntry", "cross_entropy", "for_metric", "get_loss", "soft_f_beta"]
