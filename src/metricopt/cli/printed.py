"""A result on the terminal: a short table and a few lines, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import typer

from .grid import Column, print_grid

if TYPE_CHECKING:
    from ..job import Evolved, Outcome
    from ..report import Term

#: What `after` of a part is of: the change that was accepted, the one that was refused, or the model as it was.
AfterIs = Literal["accepted", "refused", "unchanged"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The metric on one part of the examples.

    Args:
        name: what the part is called; rows: how many examples, None where that is not known.
        before, after: the metric, as it is.
        low, high: of the gain, positive is better; None where nothing was tested.
        accepted: whether the model was changed.
    """

    name: str
    rows: int | None
    before: float
    after: float
    low: float | None
    high: float | None
    accepted: bool

    @classmethod
    def of(cls, result: Outcome | Evolved) -> Part:
        """What decided about a result."""
        low, high = result.interval or (None, None)
        return cls(
            name="acceptance" if result.interval else "search, which flatters",
            rows=None,
            before=result.before,
            after=result.after,
            low=low,
            high=high,
            accepted=result.accepted,
        )

    @property
    def after_is(self) -> AfterIs:
        """A refused change is rated where it was tested; elsewhere the model is rated that came back."""
        if self.accepted:
            return "accepted"
        return "unchanged" if self.before == self.after and not self.low and not self.high else "refused"


@dataclass(frozen=True, kw_only=True)
class Printed:
    """All that is shown of one result.

    Args:
        title: above the table.
        parts: its rows.
        higher_is_better: the direction of the metric; confidence: of the intervals.
        accepted: whether the model was changed.
        lines: what else is said, in order.
        terms: objective and limits of a constrained metric.
        plain: the same as one JSON object.
    """

    title: str
    parts: tuple[Part, ...]
    higher_is_better: bool
    confidence: float
    accepted: bool
    lines: tuple[str, ...]
    plain: Mapping[str, Any]
    terms: tuple[Term, ...] = ()

    def with_lines(self, *lines: str) -> Printed:
        """The same with more said directly below the table."""
        return replace(self, lines=(*lines, *self.lines))


def show(result: Printed, *, as_json: bool) -> None:
    """Print to standard output."""
    if as_json:
        typer.echo(json.dumps(result.plain, allow_nan=False))
        return
    numbers = ("before", "after", "gain", f"{100 * result.confidence:g} % interval")
    columns = [Column(""), *(Column(name, number=True) for name in numbers)]
    typer.echo(result.title)
    print_grid(columns, [_cells(part, result) for part in result.parts], plain=True)
    if result.terms:
        _show_terms(result)
    for line in result.lines:
        typer.echo(line)


def _show_terms(result: Printed) -> None:
    """Objective and limits, measured where the first row of the table was."""
    columns = [Column(result.parts[0].name), *(Column(name, number=True) for name in ("before", "after"))]
    columns += [Column(f"{100 * result.confidence:g} % interval", number=True), Column("kept")]
    rows = [
        (
            one.text,
            f"{one.before:.4g}",
            f"{one.after:.4g}",
            "" if one.low is None else f"{one.low:.4g} to {one.high:.4g}",
            "" if one.kept is None else "yes" if one.kept else "no",
        )
        for one in result.terms
    ]
    print_grid(columns, rows, plain=True)
    typer.echo("Where a limit is broken, the constrained metric lies outside the range of what is wanted, by how far.")


def verdict_of_test(part: Part, result_accepted: bool, higher_is_better: bool) -> str | None:
    """What the test part says of a change that was accepted on the acceptance part, in one sentence."""
    if not result_accepted or part.low is None or part.high is None:
        return None
    gain = _gain(part, higher_is_better)
    if part.low > 0:
        return "The test rows say the same: their interval lies above zero, too."
    if part.high < 0:
        return "The test rows say the opposite: there the change makes it worse, beyond chance."
    way = "better" if gain > 0 else "no better"
    return f"On the test rows it is {way}, but by itself their interval does not exclude chance."


def figures_of(part: Part | None, higher_is_better: bool) -> dict[str, Any] | None:
    """A part as plain JSON."""
    if part is None:
        return None
    return {
        "rows": part.rows,
        "before": part.before,
        "after": part.after,
        "after_is": part.after_is,
        "gain": _gain(part, higher_is_better),
        "interval": None if part.low is None else [part.low, part.high],
    }


def _cells(part: Part, result: Printed) -> Sequence[str]:
    name = part.name if part.rows is None else f"{part.name}, {part.rows:,} rows"
    name += _MARKS[part.after_is]  # on a line of its own: the numbers need the width
    if part.low is None or part.high is None:
        interval = "not tested"
    elif not result.accepted and part.low == part.high == 0.0:
        interval = ""
    else:
        interval = f"{part.low:+.4g} to {part.high:+.4g}"
    gain = _gain(part, result.higher_is_better)
    return name, f"{part.before:.4g}", f"{part.after:.4g}", f"{gain:+.4g}" if gain else "0", interval


#: Below the name of a row: in one table "after" may be of a refused change and of the model that came back.
_MARKS: dict[AfterIs, str] = {"accepted": "", "refused": "\n(refused change)", "unchanged": "\n(model as it was)"}


def _gain(part: Part, higher_is_better: bool) -> float:
    return part.after - part.before if higher_is_better else part.before - part.after
