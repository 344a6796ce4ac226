"""Predicted against observed metric: what the value function said before each call."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import HALF, NARROW, Absent, Figure, Numbers
from ..report_data import Prediction, ReportData
from ..svg import group, tag, thinned
from ..ticks import plain
from ..wording import Wording, counted, percent

_TITLE = "Predicted against observed"
_MOST_POINTS = 150
_SPREADS = 2.0
#: An honest spread holds about 95 % within two of them; well below that the reader is told.
_HONEST = 0.8
_TOO_SURE = (
    " An honest spread would hold about 95 %: the value function is too sure of itself. The proposal is tested anyway, "
    "so only the order of its estimates counts."
)
_KEY_ROOM = 182  # for the words and the line of the key


def predictions(report_data: ReportData) -> Figure | Absent:
    """One dot for each metric call that the value function predicted, with a bar of two spreads on each side."""
    if not report_data.predictions:
        return Absent(_TITLE, "no value function predicted a metric call")
    return Figure(
        key="predictions",
        title=_TITLE,
        caption=_caption(report_data),
        measured="Measured on the search part; each prediction was made before its call.",
        wide=_draw(report_data, HALF),
        narrow=_draw(report_data, NARROW),
        half=True,
        numbers=Numbers(
            ("predicted", "spread", "observed"),
            [(one.predicted, one.spread, one.observed) for one in report_data.predictions],
        ),
    )


def _caption(report_data: ReportData) -> str:
    found = report_data.predictions
    within = sum(abs(each.predicted - each.observed) <= _SPREADS * each.spread for each in found) / len(found)
    order = _rank_correlation(found)
    ranks = f" Rank correlation {plain(order, 2)} (1 is the perfect order, 0 is chance)." if order is not None else ""
    shown = f" The picture shows {_MOST_POINTS} of them." if len(found) > _MOST_POINTS else ""
    sure = "" if within >= _HONEST else _TOO_SURE
    return (
        f"The closer to the diagonal, the better the value function knew. Of {counted(len(found), 'prediction')}, "
        f"{percent(within, 0)} lie within two spreads (the bars) of what was observed.{sure}{ranks}{shown}"
    )


def _rank_correlation(found: Sequence[Prediction]) -> float | None:
    import torch

    from ...value.quality import quality

    predicted = torch.tensor([each.predicted for each in found], dtype=torch.float64)
    observed = torch.tensor([each.observed for each in found], dtype=torch.float64)
    spearman = quality(predicted, observed).spearman
    return None if math.isnan(spearman) else spearman


def _draw(report_data: ReportData, width: int) -> Markup:
    words = Wording(report_data)
    chart = Chart("predictions", width, width - 30)
    found = thinned(report_data.predictions, _MOST_POINTS)
    values = [value for each in found for value in (each.predicted, each.observed)]
    x = Axis.over(values, 56, width - 16, about=5)
    y = Axis.over(values, chart.height - 52, 34, about=5)
    chart.vertical(y, 56, width - 16, chart.fitted(f"predicted {words.metric}", width - _KEY_ROOM))
    chart.horizontal(x, chart.height - 52, title=f"observed {words.axis}", grid_to=34)
    diagonal = tag("path", class_="diagonal", d=f"M{x.start} {y.start}L{x.end} {y.end}")
    bars = "".join(
        f"M{x.at(each.observed):.1f} {y.at(each.predicted - _SPREADS * each.spread):.1f}"
        f"V{y.at(each.predicted + _SPREADS * each.spread):.1f}"
        for each in found
    )
    chart.add(chart.clipped([diagonal, tag("path", class_="bars c0", d=bars)], x, y))
    # Above the picture: inside of it dots may lie anywhere.
    chart.text(x.end, y.end - 12, "predicted = observed", "tick", "end")
    chart.add(tag("path", class_="diagonal", d=f"M{x.end - _KEY_ROOM + 26} {y.end - 16}h24"))
    dots = []
    for each in found:
        expected = f"{words.value(each.predicted)} ± {words.value(each.spread)}"
        tip = f"predicted {expected}, observed {words.value(each.observed)}"
        dots.append(tag("circle", class_="dot", cx=x.at(each.observed), cy=y.at(each.predicted), r=3.5, data_tip=tip))
    chart.add(group(dots, class_="c0"))
    return chart.svg(f"Predicted against observed {words.metric} of {counted(len(report_data.predictions), 'call')}")
