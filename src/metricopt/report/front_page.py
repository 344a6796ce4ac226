"""A front of models on one page: the picture to choose by, and a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from ..runtime import write_atomically
from .chart import Axis, Chart
from .figure import NARROW, WIDE, Figure, Numbers, Table
from .page import render_figures
from .svg import elided, group, tag, thinned
from .ticks import plain
from .wording import counted, duration

_MOST_OBSERVED = 300
_DECIMALS = 4


@dataclass(frozen=True, kw_only=True)
class FrontModelShown:
    """Metrics of one model, and the interval of its gain by each, positive is better."""

    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FrontShown:
    """What the page shows.

    Args:
        metrics: names. higher_is_better: a direction each.
        before: of the model as it was. models: of the front, in order.
        observed: all that was rated on the search rows.
        confidence: of the intervals. calls, seconds: in all.
    """

    metrics: tuple[str, ...]
    higher_is_better: tuple[bool, ...]
    before: tuple[float, ...]
    models: tuple[FrontModelShown, ...]
    observed: tuple[tuple[float, ...], ...]
    confidence: float
    calls: int
    seconds: float


def render_front(front: FrontShown) -> str:
    """The page as HTML."""
    names = " and ".join(elided(name, 40) for name in front.metrics)
    spent = f"{front.calls:,} metric calls, {duration(front.seconds)}"
    return render_figures(
        f"{counted(len(front.models), 'model')} between {names}",
        spent,
        [_picture(front)],
        {"Spent": spent},
    )


def write_front(front: FrontShown, path: str | os.PathLike[str]) -> Path:
    """Write the page to `path`, in one step."""
    write_atomically(path, render_front(front).encode())
    return Path(path)


def _picture(front: FrontShown) -> Figure:
    more = "" if len(front.metrics) == 2 else " The picture shows the first two metrics, the table all."
    head = tuple(elided(name, 40) for name in front.metrics)
    return Figure(
        key="front",
        title="Choose a model",
        caption=(
            "Each number is a model that no other one of the front beats by every metric; bars are intervals of its "
            "gain over the model as it was, the hollow circle. Small dots are what the search saw, on its own rows, "
            f"where figures are flattered.{more}"
        ),
        measured="Models and intervals were measured on the acceptance part, which the search never saw.",
        wide=_draw(front, WIDE),
        narrow=_draw(front, NARROW),
        table=Table(
            head=("model", *head),
            rows=(
                ("as it was", *(plain(value, _DECIMALS) for value in front.before)),
                *(_row(f"model {at}", one) for at, one in enumerate(front.models, start=1)),
            ),
        ),
        numbers=Numbers(
            (
                "model",
                *(column for name in front.metrics for column in (name, f"{name} gain low", f"{name} gain high")),
            ),
            [
                (f"model {at}", *(v for three in zip(one.values, one.lows, one.highs, strict=True) for v in three))
                for at, one in enumerate(front.models, start=1)
            ],
        ),
    )


def _row(name: str, one: FrontModelShown) -> tuple[str, ...]:
    cells = (
        f"{plain(value, _DECIMALS)} ({plain(low, _DECIMALS, signed=True)} to {plain(high, _DECIMALS, signed=True)})"
        for value, low, high in zip(one.values, one.lows, one.highs, strict=True)
    )
    return (name, *cells)


def _draw(front: FrontShown, width: int) -> Markup:
    chart = Chart("front", width, 480 if width == WIDE else 360)
    ends = [[_ends(front, one, k) for one in front.models] for k in (0, 1)]
    axes = []
    for k, (start, end) in enumerate(((64, width - 20), (chart.height - 56, 36))):
        values = [
            front.before[k],
            *(value for pair in ends[k] for value in pair),
            *(one.values[k] for one in front.models),
        ]
        axes.append(Axis.over(values, start, end, about=5 if width == WIDE else 3))
    x, y = axes
    ways = ["higher is better" if up else "lower is better" for up in front.higher_is_better]
    chart.vertical(y, 64, width - 20, f"{front.metrics[1]} ({ways[1]})")
    chart.horizontal(x, chart.height - 56, title=f"{front.metrics[0]} ({ways[0]})", grid_to=36)
    dots = [
        tag("circle", class_="dot", cx=x.at(row[0]), cy=y.at(row[1]), r=2.4)
        for row in thinned(front.observed, _MOST_OBSERVED)
    ]
    chart.add(chart.clipped([group(dots, class_="c1", opacity="0.4")], x, y))
    bars = "".join(
        f"M{x.at(ends[0][at][0]):.1f} {y.at(one.values[1]):.1f}H{x.at(ends[0][at][1]):.1f}"
        f"M{x.at(one.values[0]):.1f} {y.at(ends[1][at][0]):.1f}V{y.at(ends[1][at][1]):.1f}"
        for at, one in enumerate(front.models)
    )
    chart.add(chart.clipped([tag("path", class_="bars c0", d=bars)], x, y))
    chart.add(
        group([tag("circle", class_="was", cx=x.at(front.before[0]), cy=y.at(front.before[1]), r=7)], class_="c0")
    )
    for at, one in enumerate(front.models, start=1):
        place = {"cx": x.at(one.values[0]), "cy": y.at(one.values[1])}
        chart.add(
            group(
                [tag("circle", class_="dot", r=8, data_tip=", ".join(_row(f"model {at}", one)), **place)], class_="c0"
            )
        )
        chart.text(place["cx"] + 11, place["cy"] - 9, str(at), "halo strong")
    return chart.svg(
        f"A front of {counted(len(front.models), 'model')} between {front.metrics[0]} and {front.metrics[1]}"
    )


def _ends(front: FrontShown, one: FrontModelShown, k: int) -> tuple[float, float]:
    """The interval of the gain, on the scale of the metric."""
    way = 1.0 if front.higher_is_better[k] else -1.0
    low, high = sorted((front.before[k] + way * one.lows[k], front.before[k] + way * one.highs[k]))
    return low, high
