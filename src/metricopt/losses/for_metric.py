"""From a metric to the losses that aim at it."""

from __future__ import annotations

from dataclasses import replace

from .._errors import ConfigError
from .aims import SAME, canonical, options_in
from .card import Card, LossEntry
from .catalogue import LOSSES


def for_metric(metric: object) -> list[LossEntry]:
    """The losses aimed at `metric`, best first; empty where none is.

    First come those whose card names the metric first, core before contrib, functions before modules with a state
    of their own; what is left is settled by the order of the catalogue, which follows measurements where there are any.
    Options that the metric shows in its name, such as the beta of "f_beta(beta=2.0)", are set.

    Args:
        metric: a `Metric`, or the name of one: of the library, of scikit-learn or of torchmetrics.

    Raises:
        ConfigError: `metric` is neither a name nor something with one.

    >>> entries = for_metric("f_beta(beta=2.0)")
    >>> entries[0].bound
    {'beta': 2.0}
    >>> for_metric("profit")
    []
    """
    name = metric if isinstance(metric, str) else getattr(metric, "name", None)
    if not isinstance(name, str):
        raise ConfigError(f"for_metric needs a Metric or the name of one, got {type(metric).__name__}")
    aim, options = canonical(name), options_in(name)
    aims = SAME.get(aim, (aim,))
    aimed = [entry for entry in LOSSES.values() if set(aims) & set(entry.card.aims_at)]
    aimed.sort(key=lambda entry: _distance(entry.card, aims))  # stable: the order of the catalogue settles the rest
    return [
        replace(entry, bound={key: value for key, value in options.items() if key in entry.options}) for entry in aimed
    ]


def _distance(card: Card, aims: tuple[str, ...]) -> tuple[int, bool, bool]:
    place = min(card.aims_at.index(aim) for aim in aims if aim in card.aims_at)
    return place, card.tier != "core", card.stateful
