"""What became of the parts of a constrained metric: the objective and each limit by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..metrics import Metric
from ..metrics.constrained import FOLDS, Subject
from ..report import Term
from .acceptance import quantile


def terms_of(metric: Metric, before: Any, after: Any, targets: Any, *, confidence: float) -> tuple[Term, ...]:
    """Objective and limits of a constrained metric, before and after; nothing for other metrics.

    Intervals are value +- t * error, with the jackknife's error and t the quantile of Student's t with nine degrees of
    freedom, cut off at the bounds of the metric.
    """
    subject = metric.fn
    if not isinstance(subject, Subject):
        return ()
    wide, objective = quantile(confidence, FOLDS - 1), subject.objective
    terms = [Term(text=objective.name, before=objective(before, targets), after=objective(after, targets))]
    for one in subject.constraints:
        value, error = one.measured(after, targets)
        low, high = one.metric.bounds
        terms.append(
            Term(
                text=str(one),
                before=(was := one.metric(before, targets)),
                after=value,
                low=max(value - wide * error, low),
                high=min(value + wide * error, high),
                kept_before=one.slack(was) >= 0,
                kept=one.slack(value) >= 0,
            )
        )
    return tuple(terms)


def told(terms: Sequence[Term], rows: str) -> str:
    """What became of the limits, a sentence each; empty without limits.

    >>> told([Term(text="recall >= 0.9", before=0.5, after=0.91, low=0.88, high=0.94, kept=True)], "test rows")
    'recall >= 0.9 holds on the test rows: 0.91 (0.88 to 0.94).'
    """
    return " ".join(
        f"{one.text} {'holds' if one.kept else 'does not hold'} on the {rows}: {one.after:.4g} ({one.low:.4g} to "
        f"{one.high:.4g})."
        for one in terms
        if one.kept is not None
    )
