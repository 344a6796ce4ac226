"""Whether a budget was too small for MetricOpt, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from ...job.preparation import Holdout
from ...job.request import divided
from ...job.stages import LEAST_TO_LEARN
from ...metrics import Budget

_BEGINS = "Only the threshold was tuned: "


def note_on_budget(stages: Sequence[str], *, auto: bool, calls: int | None, holdout: Holdout) -> tuple[str, ...]:
    """What there is to say where "auto" had calls for the threshold alone.

    Args:
        stages: names of those that ran.
        auto: whether nothing else was asked for.
        calls: the budget of search and acceptance test.
        holdout: what the acceptance test is made on.

    >>> note_on_budget(["threshold"], auto=True, calls=50, holdout=None)
    ('Only the threshold was tuned: 50 metric calls leave too few for MetricOpt to learn from; ...',)
    >>> note_on_budget(["threshold", "metricopt"], auto=True, calls=80, holdout=None)
    ()
    """
    if not auto or calls is None or list(stages) != ["threshold"]:
        return ()
    least = calls
    while (divided(Budget(calls=least), holdout, learned=False).search_calls or 0) < LEAST_TO_LEARN:
        least += 1
    return (
        f"{_BEGINS}{calls} metric calls leave too few for MetricOpt to learn from; it needs --calls {least} or more.",
    )


def on_budget(notes: Sequence[str]) -> tuple[str, ...]:
    """Of the notes of a run those that `note_on_budget` made: the only ones that are known after the search alone."""
    return tuple(note for note in notes if note.startswith(_BEGINS))
