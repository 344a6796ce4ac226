"""Of a constrained metric: the objective, and each limit with what became of it."""

from __future__ import annotations

from ..figure import Figure, Table
from ..report_data import ReportData, Term
from ..ticks import plain
from ..wording import Wording, counted

_DECIMALS = 4


def terms(report_data: ReportData) -> Figure | None:
    """A row for the objective and for each limit; nothing for other metrics."""
    found, on = report_data.terms, f"the {Wording(report_data).part}"
    if report_data.test is not None and report_data.test.terms:
        found, on = report_data.test.terms, f"{counted(report_data.test.rows, 'test row')} that nobody chose by"
    if not found:
        return None
    broken = any(one.kept is False for one in found)
    return Figure(
        key="terms",
        title="A limit is broken" if broken else "The limits hold",
        caption=(
            "What is wanted, and what must hold. The interval is of the value after; where it reaches across the "
            "limit, other rows may break it."
        ),
        measured=f"Measured on {on}.",
        wide=None,
        narrow=None,
        table=Table(
            head=("", "before", "after", f"{100 * report_data.confidence:g} % interval", "kept"),
            rows=tuple(_row(one) for one in found),
        ),
    )


def _row(one: Term) -> tuple[str, ...]:
    interval = "" if one.low is None or one.high is None else f"{_number(one.low)} to {_number(one.high)}"
    kept = "" if one.kept is None else "yes" if one.kept else "no"
    return one.text, _number(one.before), _number(one.after), interval, kept


def _number(value: float) -> str:
    return plain(value, _DECIMALS)
