"""The value function's embedding in two dimensions: similar metric values should lie side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import HALF, NARROW, Absent, Figure, Numbers
from ..report_data import ReportData
from ..svg import group, tag, thinned
from ..wording import Wording, counted

_TITLE = "The embedding, in two dimensions"
_MOST_POINTS = 400
_SHADES = 7


def embedding(report_data: ReportData) -> Figure | Absent:
    """One dot for each phi where the value function places it; the better its metric, the stronger its colour."""
    if not report_data.embedding:
        return Absent(_TITLE, "no value function was learned")
    shown = f" The picture shows {_MOST_POINTS} of them." if len(report_data.embedding) > _MOST_POINTS else ""
    return Figure(
        key="embedding",
        title=_TITLE,
        caption=(
            f"Each of {counted(len(report_data.embedding), 'dot')} is one setting of the adaptation parameters, where "
            "the value function places it. Colours that change gradually mean that it has learned what moves the "
            f"metric; the directions themselves have no unit.{shown}"
        ),
        measured="Colours are the metric on the search part, observed or estimated.",
        wide=_draw(report_data, HALF),
        narrow=_draw(report_data, NARROW),
        half=True,
        numbers=Numbers(("x", "y", "metric"), [(one.x, one.y, one.value) for one in report_data.embedding]),
    )


def _draw(report_data: ReportData, width: int) -> Markup:
    words = Wording(report_data)
    chart = Chart("embedding", width, width - 30)
    points = thinned(report_data.embedding, _MOST_POINTS)
    best = max(points, key=lambda point: report_data.better_by(point.value, 0.0))
    limits = _limits(report_data, [point.value for point in points])
    x = Axis.over([point.x for point in points], 14, width - 14)
    y = Axis.over([point.y for point in points], chart.height - 36, 62)
    _legend(chart, limits, words)
    box = {"x": 4.0, "y": 50.0, "width": width - 8.0, "height": chart.height - 74.0}
    chart.add(tag("rect", class_="frame", rx=6, **box))
    shades: list[list[Markup]] = [[] for _ in range(_SHADES)]
    for point in points:
        dot = tag("circle", cx=x.at(point.x), cy=y.at(point.y), r=4, data_tip=words.value(point.value))
        shades[_shade(report_data, point.value, limits)].append(dot)
    dots = [group(each, class_=f"point v{shade}") for shade, each in enumerate(shades) if each]
    chart.add(group(dots, data_lead=f"{words.metric} "))
    across, down = x.at(best.x), y.at(best.y)
    chart.add(tag("circle", class_="ring", cx=across, cy=down, r=8))
    anchor, shift = ("end", -12) if across > width / 2 else ("start", 12)
    chart.text(across + shift, down + 4, f"best: {words.value(best.value)}", "halo strong", anchor)
    chart.text(width / 2, chart.height - 6, "first direction", "name", "middle")
    chart.text(14, 68, "second direction ↑", "halo name")
    return chart.svg(
        f"{counted(len(report_data.embedding), 'dot')} coloured by {words.metric}, best {words.value(best.value)}"
    )


def _limits(report_data: ReportData, values: Sequence[float]) -> tuple[float, float]:
    """Worst and best colour: all but the outermost twentieth on the worse side, so that one bad dot does not flatten
    all."""
    ranked = sorted(values, key=lambda value: report_data.better_by(value, 0.0))
    return ranked[len(ranked) // 20], ranked[-1]


def _shade(report_data: ReportData, value: float, limits: tuple[float, float]) -> int:
    span = report_data.better_by(limits[1], limits[0])
    share = report_data.better_by(value, limits[0]) / span if span > 0 else 1.0
    return min(max(int(share * _SHADES), 0), _SHADES - 1)


def _legend(chart: Chart, limits: tuple[float, float], words: Wording) -> None:
    size, left = 26, 4
    for shade in range(_SHADES):
        chart.add(tag("rect", class_=f"v{shade}", x=left + shade * size, y=18, width=size, height=10))
    chart.text(left, 12, "worse", "name")
    edge = left + _SHADES * size + 12
    chart.text(edge, 28, chart.fitted(words.metric, chart.width - edge), "name")
    chart.text(left + _SHADES * size, 12, "better", "name", "end")
    chart.text(left, 43, words.value(limits[0]), "tick")
    chart.text(left + _SHADES * size, 43, words.value(limits[1]), "tick", "end")
