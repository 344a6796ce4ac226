"""From a metric to the losses that aim at it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from .._errors import ConfigError
from .._metric_names import AIMS, ALIASES, SAME, canonical, options_in
from .._types import LossFunction
from .card import Card, LossEntry
from .catalogue import LOSSES

#: What a loss does that has no such option.
_USUAL = {"average": "macro", "beta": 1}


def for_metric(metric: object) -> list[LossEntry]:
    """The losses aimed at `metric`, best first; empty where none is.

    First come those whose card names the metric first, core before contrib, functions before modules with a state
    of their own; what is left is settled by the order of the catalogue, which follows measurements where there are any.
    Options that the metric shows in its name, such as the beta of "f_beta(beta=2.0)" or the average of "f1_micro", are
    set; losses that have no such option come last.

    Args:
        metric: a `Metric`, or the name of one: of the library, of scikit-learn or of torchmetrics.

    Raises:
        ConfigError: `metric` is neither a name nor something with one, or a name that no metric has.

    >>> entries = for_metric("f_beta(beta=2.0)")
    >>> entries[0].bound
    {'beta': 2.0}
    >>> for_metric("f1_micro")[0].bound
    {'average': 'micro'}
    >>> for_metric("acuracy")
    Traceback (most recent call last):
    ...
    metricopt._errors.ConfigError: no metric named 'acuracy'; did you mean 'accuracy'? ...
    """
    name = metric if isinstance(metric, str) else getattr(metric, "name", None)
    if not isinstance(name, str):
        raise ConfigError(f"for_metric needs a Metric or the name of one, got {type(metric).__name__}")
    aim, options = canonical(name), options_in(name)
    if isinstance(metric, str) and aim not in AIMS:
        _unknown(name, aim)
    aims = SAME.get(aim, (aim,))
    aimed = [entry for entry in LOSSES.values() if set(aims) & set(entry.card.aims_at)]
    # Stable: the order of the catalogue settles the rest.
    aimed.sort(key=lambda entry: (_lacks(entry, options), *_distance(entry.card, aims)))
    return [replace(entry, bound=_bound(entry, aims, options)) for entry in aimed]


def aimed_loss(metric: object, kind: str) -> LossFunction | None:
    """The first loss aimed at `metric` that takes scores of this kind as they are, needs no option and owns no state.

    >>> aimed_loss("f1", "binary") is None, aimed_loss("ndcg", "values") is None
    (False, True)
    """
    for entry in for_metric(metric):
        card = entry.card
        if kind in card.targets and card.reads == "scores" and not card.stateful and not card.needs:
            return entry.factory()
    return None


def _unknown(name: str, aim: str) -> NoReturn:
    known = [*ALIASES, *(one for main, others in AIMS.items() for one in (main, *others))]
    close = difflib.get_close_matches(aim, known, n=1)
    hint = f"did you mean {close[0]!r}? Losses" if close else "losses"
    raise ConfigError(
        f"no metric named {name!r}; {hint} aim at {', '.join(AIMS)}. A metric of your own has no loss: give the Metric "
        "itself, and the list is empty"
    )


def _bound(entry: LossEntry, aims: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in options.items() if key in entry.options}
    return dict(next((entry.card.by_aim[aim] for aim in aims if aim in entry.card.by_aim), {})) | shown


def _lacks(entry: LossEntry, options: Mapping[str, Any]) -> bool:
    """Whether the metric has an option that the loss cannot follow; what the loss does without it does not count."""
    return any(key not in entry.options and value != _USUAL.get(key) for key, value in options.items())


def _distance(card: Card, aims: tuple[str, ...]) -> tuple[int, bool, bool]:
    place = min(card.aims_at.index(aim) for aim in aims if aim in card.aims_at)
    return place, card.tier != "core", card.stateful
