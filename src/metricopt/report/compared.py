"""Several runs on one page: what each gained, and in what they differ."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ..runtime import write_atomically
from .answer import quoted
from .chart import Axis, Chart
from .figure import NARROW, WIDE, Figure, Numbers, Table
from .page import render_figures
from .report_data import ReportData
from .svg import elided, group, tag
from .ticks import plain
from .wording import Wording, counted, duration

#: More runs than this make a page that nobody reads.
MAX_RUNS = 100
_ROW = 38
#: A comma between settings, not inside of brackets.
_COMMA = re.compile(r", (?![^(]*\))")


def compare(runs: Mapping[str, ReportData]) -> str:
    """A page that shows runs side by side: their gains with intervals, metric by metric, and what differs between them.

    The figures are the ones to quote: of test rows where there are some. Runs of one table have the same test rows only
    where they have the same seed and shares; nothing here says which of two runs is better beyond chance.

    Args:
        runs: name -> data of its report.
    """
    by_metric: dict[str, dict[str, ReportData]] = {}
    for name, data in runs.items():
        by_metric.setdefault(data.metric, {})[name] = quoted(data)
    figures = [_gains(f"metric{at}", metric, found) for at, (metric, found) in enumerate(by_metric.items())]
    differences = _differences(runs)
    said = f"{counted(len(runs), 'run')} of {counted(len(by_metric), 'metric')}"
    return render_figures(f"{counted(len(runs), 'run')} compared", said, [*figures, *differences])


def write_compared(runs: Mapping[str, ReportData], path: str | os.PathLike[str]) -> Path:
    """Write the page to `path`, in one step."""
    write_atomically(path, compare(runs).encode())
    return Path(path)


def _gains(key: str, metric: str, runs: Mapping[str, ReportData]) -> Figure:
    tested = {name: data for name, data in runs.items() if data.low is not None and data.high is not None}
    one = next(iter(runs.values()))
    where = (
        "test rows that nobody chose by"
        if all(data.test for data in runs.values())
        else ("test rows where a run has some, else on its acceptance part")
    )
    head = ("run", "before", "after", "gain", "interval", "", "calls", "time")
    return Figure(
        key=key,
        title=f"{elided(metric, 60)}, {Wording(one).direction}",
        caption=(
            "The gain of each run with its interval. Overlapping intervals do not say that two runs are alike, since "
            "they may have been measured on the same rows."
        ),
        measured=f"Measured on {where}.",
        wide=_draw(key, tested, WIDE) if tested else None,
        narrow=_draw(key, tested, NARROW) if tested else None,
        table=Table(head=head, rows=tuple(_row(name, data) for name, data in runs.items())),
        numbers=Numbers(
            ("run", "before", "after", "gain", "low", "high", "accepted", "calls", "seconds"),
            [
                (name, data.before, data.after, data.gain, data.low, data.high, data.accepted, data.calls, data.seconds)
                for name, data in runs.items()
            ],
        ),
    )


def _row(name: str, data: ReportData) -> tuple[str, ...]:
    words = Wording(data)
    interval = ""
    if data.low is not None and data.high is not None:
        interval = f"{plain(data.low, words.decimals, signed=True)} to {plain(data.high, words.decimals, signed=True)}"
    state = "accepted" if data.accepted and data.verified else "not verified" if data.accepted else "kept as it was"
    return (
        elided(name, 60),
        words.shown_before,
        words.shown_after,
        plain(data.gain, words.decimals, signed=True),
        interval,
        state,
        f"{data.calls:,}",
        duration(data.seconds),
    )


def _draw(key: str, runs: Mapping[str, ReportData], width: int) -> Markup:
    """A line for each run: the interval of its gain beside the place of no change."""
    left, bottom = (260 if width == WIDE else 110), 16 + _ROW * len(runs)
    chart = Chart(key, width, bottom + 50)
    ends = [value for data in runs.values() for value in (data.low, data.high, data.gain, 0.0) if value is not None]
    axis = Axis.over(ends, left, width - 16, about=5 if width == WIDE else 3, signed=True)
    chart.horizontal(axis, bottom, title="gain", grid_to=8)
    chart.add(tag("path", class_="zero", d=f"M{axis.at(0.0):.1f} 8V{bottom}"))
    for at, (name, data) in enumerate(runs.items()):
        assert data.low is not None and data.high is not None
        y, words = 8 + _ROW * (at + 0.5), Wording(data)
        full = tag("title", name)
        shown = elided(name, 34 if width == WIDE else 13)
        chart.add(tag("text", shown, full, class_="row", x=left - 12, y=y + 4.5, text_anchor="end"))
        tip = f"{elided(name, 60)}: {words.difference(data.gain)}, {words.interval(data.low, data.high)}"
        bar = tag("path", class_="whisker", d=f"M{axis.at(data.low):.1f} {y}H{axis.at(data.high):.1f}", data_tip=tip)
        dot = tag("circle", class_="dot", cx=axis.at(data.gain), cy=y, r=6, data_tip=tip)
        chart.add(group([bar, dot], class_="c0" if data.accepted else "c1"))
    return chart.svg(f"Gains of {counted(len(runs), 'run')}")


def _differences(runs: Mapping[str, ReportData]) -> list[Figure]:
    """What the runs say of themselves that is not the same for all."""
    settings = {name: dict(_facts(data)) for name, data in runs.items()}
    names = list(dict.fromkeys(fact for facts in settings.values() for fact in facts))
    differing = [fact for fact in names if len({facts.get(fact, "") for facts in settings.values()}) > 1]
    if len(runs) < 2 or not differing:
        return []
    rows = tuple(
        (elided(name, 60), *(elided(facts.get(fact, ""), 160) for fact in differing))
        for name, facts in settings.items()
    )
    return [
        Figure(
            key="differences",
            title="What differs",
            caption="Of what the runs say about themselves; what is the same for all is left out.",
            measured="From the reports of the runs.",
            wide=None,
            narrow=None,
            table=Table(head=("run", *differing), rows=rows, prose=True),
        )
    ]


def _facts(data: ReportData) -> Sequence[tuple[str, str]]:
    """Facts, and each of the settings by itself; what came out is no setting."""
    found: list[tuple[str, str]] = []
    for name, told in data.facts.items():
        if name == "Settings":
            found += [tuple(one.split(" ", 1)) for one in _COMMA.split(told) if " " in one]
        elif name not in ("Test rows", "Expected gain", "The metric rewards"):
            found.append((name, told))
    return found
