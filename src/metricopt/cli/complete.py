"""What the shell proposes behind an option."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from .._errors import MetricOptError
from .words import ARGUMENTS

Proposals = list[tuple[str, str]]


def metrics(incomplete: str) -> Proposals:
    """Metrics of the library, metrics of numbers and, where none of them fits, scorers of scikit-learn."""
    from ..metrics import METRICS, SHORT_NAMES

    found = [(name, entry.card.title) for name, entry in METRICS.items()]
    found += [(name, f"the same as {of}") for name, of in METRICS.aliases.items()]
    found += [(name, short.title) for name, short in SHORT_NAMES.items()]
    found = _starting(found, incomplete)
    if found:
        return found
    from sklearn.metrics import get_scorer_names

    return _starting([(name, "scorer of scikit-learn") for name in get_scorer_names()], incomplete)


def methods(incomplete: str) -> Proposals:
    """What searches, and "auto"."""
    from ..methods import METHODS

    found = [("auto", "what fits the problem and the budget")]
    return _starting([*found, *((name, entry.card.title) for name, entry in METHODS.items())], incomplete)


def losses(incomplete: str) -> Proposals:
    """Losses that the search can follow."""
    from ..losses import LOSSES

    return _starting([(name, entry.card.title) for name, entry in LOSSES.items()], incomplete)


def columns(ctx: typer.Context, incomplete: str) -> Proposals:
    """Columns of the table that the command line names already."""
    # The parser gives up at an option that has no value yet, so the table is looked for among the words themselves.
    table = next((Path(word) for word in ctx.meta.get(ARGUMENTS, ()) if Path(word).is_file()), None)
    if table is None:
        return []
    from ..apps.table.file import column_names

    try:
        names = column_names(table)
    except (MetricOptError, OSError):  # nothing to propose; the command itself will say what is wrong
        return []
    return _starting([(name, "column") for name in names], incomplete)


def several_columns(ctx: typer.Context, incomplete: str) -> Proposals:
    """Columns separated by commas."""
    return several(lambda last: columns(ctx, last))(incomplete)


def several(one: Callable[[str], Proposals]) -> Callable[[str], Proposals]:
    """Names separated by commas: proposals for the last one."""

    def proposals(incomplete: str) -> Proposals:
        done, comma, last = incomplete.rpartition(",")
        return [(done + comma + name, told) for name, told in one(last)]

    return proposals


def _starting(found: Iterable[tuple[str, str]], incomplete: str) -> Proposals:
    return [(name, told) for name, told in found if name.startswith(incomplete)]
