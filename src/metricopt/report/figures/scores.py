"""Score histograms: how the scores of each class lie, and where the decision changes, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import NARROW, WIDE, Absent, Choice, Figure, Option, Toggles, when
from ..story import Histogram, Story
from ..svg import elided, group, tag, thinned
from ..ticks import plain
from ..wording import Wording, percent

_TITLE = "Scores before and after"
_MOST_BINS = 60
_UNIT = Choice(
    name="unit",
    legend="Height",
    options=(Option(value="shares", label="share of the class"), Option(value="counts", label="counts")),
    chosen="shares",
)
_BELOW = 58

Series = Mapping[str, Sequence[int]]


def scores(story: Story) -> Figure | Absent:
    """Two histograms one above the other, so that a shift of the scores or of the threshold shows."""
    if story.histogram is None:
        return Absent(_TITLE, "no single score of the model decides")
    shown, words = _coarser(story.histogram), Wording(story)
    has_threshold = shown.threshold_before is not None or shown.threshold_after is not None
    threshold = " The dashed line is where the decision changes." if has_threshold else ""
    options = tuple(
        Option(value=f"class{at}", label=elided(label, 24), colour=at) for at, label in enumerate(shown.before)
    )
    return Figure(
        key="scores",
        title=_TITLE,
        caption=f"How often the scores of each true class fall where; the less the classes overlap, the better.{threshold}",
        measured=f"Measured on the {words.part}.",
        wide=_draw(shown, words, WIDE),
        narrow=_draw(shown, words, NARROW),
        choices=(_UNIT,),
        toggles=(Toggles(legend="True class", options=options),),
    )


def _draw(shown: Histogram, words: Wording, width: int) -> Markup:
    height = 130 if width == NARROW else 150
    chart = Chart("scores", width, 2 * (height + _BELOW) + 34)
    x = Axis.over(shown.edges, 56, width - 16, about=4 if width == NARROW else 8, pad=0.0)
    panels: tuple[tuple[str, Series, float | None], ...] = (
        ("before", shown.before, shown.threshold_before),
        (words.after, shown.after, shown.threshold_after),
    )
    for unit in (option.value for option in _UNIT.options):
        view = Chart(chart.key, width, chart.height)
        tallest = max(_tallest(series, unit) for _, series, _ in panels)
        for at, (title, series, threshold) in enumerate(panels):
            end = 34 + at * (height + _BELOW)
            y = Axis.over([0.0, tallest], end + height, end, about=3, pad=0.0)
            view.vertical(y, 56, width - 16, f"{title}: {'share of the class in %' if unit == 'shares' else 'count'}")
            for number, (label, counts) in enumerate(series.items()):
                view.add(_area(shown, label, counts, number, unit, x, y))
            view.horizontal(x, end + height, title=elided(shown.title, 60) if at else "")
            _threshold(view, threshold, x, y)
        chart.add(group([view.parts], **when(_UNIT.name, unit, _UNIT.chosen)))
    return chart.svg(f"Histograms of {elided(shown.title, 60)} before and {words.after}, one area for each true class")


def _area(shown: Histogram, label: str, counts: Sequence[int], number: int, unit: str, x: Axis, y: Axis) -> Markup:
    heights, total = _heights(counts, unit), max(sum(counts), 1)
    path, tips = f"M{x.at(shown.edges[0]):.1f} {y.start}", []
    for at, tall in enumerate(heights):
        left, right = x.at(shown.edges[at]), x.at(shown.edges[at + 1])
        path += f"V{y.at(tall):.1f}H{right:.1f}"
        tip = f"{elided(label, 40)}: {counts[at]:,} ({percent(counts[at] / total)}) from {_edge(shown, at)} to {_edge(shown, at + 1)}"
        if counts[at]:
            box = {"x": left, "y": y.at(tall), "width": right - left, "height": max(y.start - y.at(tall), 2)}
            tips.append(tag("rect", class_="hit", data_tip=tip, **box))
    area = tag("path", class_="area", d=f"{path}V{y.start}Z")
    return group([area, *tips], class_=f"c{number}", data_series=f"class{number}")


def _threshold(view: Chart, threshold: float | None, x: Axis, y: Axis) -> None:
    if threshold is None or not x.holds(threshold):
        return
    place = x.at(threshold)
    anchor, shift = ("end", -8) if place > (x.start + x.end) / 2 else ("start", 8)
    view.add(tag("path", class_="threshold", d=f"M{place:.1f} {y.start}V{y.end - 4}"))
    view.text(place + shift, y.end + 10, f"decision at {_plain_score(threshold, x)}", "halo strong", anchor)


def _heights(counts: Sequence[int], unit: str) -> list[float]:
    total = max(sum(counts), 1)
    return [100 * count / total for count in counts] if unit == "shares" else [float(count) for count in counts]


def _tallest(series: Series, unit: str) -> float:
    return max(max(_heights(counts, unit)) for counts in series.values()) or 1.0


def _edge(shown: Histogram, at: int) -> str:
    span = shown.edges[-1] - shown.edges[0]
    return plain(shown.edges[at], 3 if span <= 2 else 2 if span <= 200 else 0)


def _plain_score(value: float, x: Axis) -> str:
    return plain(value, 3 if x.high - x.low <= 2 else 2 if x.high - x.low <= 200 else 0)


def _coarser(found: Histogram) -> Histogram:
    """The same with at most `_MOST_BINS` bins: neighbours are added up."""
    bins = len(found.edges) - 1
    if bins <= _MOST_BINS:
        return found
    edges = thinned(range(bins + 1), _MOST_BINS + 1)
    pairs = list(pairwise(edges))

    def added(series: Series) -> dict[str, tuple[int, ...]]:
        return {label: tuple(sum(counts[a:b]) for a, b in pairs) for label, counts in series.items()}

    return Histogram(
        title=found.title,
        edges=tuple(found.edges[at] for at in edges),
        before=added(found.before),
        after=added({label: found.after[label] for label in found.before}),
        threshold_before=found.threshold_before,
        threshold_after=found.threshold_after,
    )
