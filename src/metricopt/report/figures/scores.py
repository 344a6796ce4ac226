"""Score histograms: how the scores of each class lie, and where the decision changes, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import NARROW, WIDE, Absent, Choice, Figure, Numbers, Option, Toggles, when
from ..report_data import DETECTIONS, DIFFERENT, ERRORS, SAME, Histogram, ReportData
from ..svg import elided, group, tag, thinned
from ..ticks import plain
from ..wording import Wording, percent

_TITLE = "Scores before and after"
_MOST_BINS = 60
_UNIT = Choice(
    name="unit",
    legend="Height",
    options=(Option(value="shares", label="share"), Option(value="counts", label="counts")),
    chosen="shares",
)
_BELOW = 58
_HEIGHT = {"shares": "share in %", "counts": "count"}

_OF_CLASSES = "How often the scores of each true class fall where; the less the classes overlap, the better."
#: By the series that a histogram has: title, caption, and what its legend is called; none for a single series.
_WORDS = {
    (ERRORS,): (
        "Errors before and after",
        "How far predictions are from the truth: the narrower around zero, the closer. The ends hold all beyond.",
        "",
    ),
    (SAME, DIFFERENT): (
        "Similarities before and after",
        "How alike the embeddings of two rows are; the less pairs of one label overlap with pairs of two, the better.",
        "Pairs",
    ),
    (DETECTIONS,): ("Detections before and after", "How sure the model is of what it detects.", ""),
}

Series = Mapping[str, Sequence[int]]


def scores(report_data: ReportData) -> Figure | Absent:
    """Two histograms one above the other, so that a shift of the scores or of the threshold shows."""
    if report_data.histogram is None:
        return Absent(_TITLE, "no single score of the model decides")
    shown, words = _coarser(report_data.histogram), Wording(report_data)
    has_threshold = shown.threshold_before is not None or shown.threshold_after is not None
    options = tuple(
        Option(value=f"class{at}", label=elided(label, 24), colour=at) for at, label in enumerate(shown.before)
    )
    series = tuple(shown.before)
    title, caption, legend = _WORDS.get(series, (_TITLE, _OF_CLASSES, "True class"))
    if has_threshold:
        caption += " The dashed line is where the decision changes."
    return Figure(
        key="scores",
        title=title,
        caption=caption,
        measured=f"Measured on the {words.part}.",
        wide=_draw(shown, words, WIDE),
        narrow=_draw(shown, words, NARROW),
        choices=(_UNIT,),
        toggles=(Toggles(legend=legend, options=options),) if legend else (),
        numbers=Numbers(
            ("class", "from", "to", "before", "after"),
            [
                (label, low, high, was, now)
                for label in shown.before
                for low, high, was, now in zip(
                    shown.edges, shown.edges[1:], shown.before[label], shown.after[label], strict=False
                )
            ],
        ),
    )


def _draw(shown: Histogram, words: Wording, width: int) -> Markup:
    height = 130 if width == NARROW else 150
    chart = Chart("scores", width, 2 * (height + _BELOW) + 26)
    x = Axis.over(shown.edges, 56, width - 16, about=4 if width == NARROW else 8, pad=0.0)
    panels: tuple[tuple[str, Series, float | None], ...] = (
        ("before", shown.before, shown.threshold_before),
        (words.after, shown.after, shown.threshold_after),
    )
    places = [(34.0 + at * (height + _BELOW), panel) for at, panel in enumerate(panels)]
    for unit in (option.value for option in _UNIT.options):
        view = Chart(chart.key, width, chart.height)
        tallest = 1.08 * max(_tallest(series, unit) for _, series, _ in panels)
        for end, (title, series, _) in places:
            y = Axis.over([0.0, tallest], end + height, end, about=3, pad=0.0)
            view.vertical(y, 56, width - 16, f"{title}: {_HEIGHT[unit]}")
            for number, (label, counts) in enumerate(series.items()):
                view.add(_area(shown.edges, _heights(counts, unit), number, x, y))
            view.horizontal(x, end + height)
        chart.add(group([view.parts], **when(_UNIT.name, unit, _UNIT.chosen)))
    for end, (_, series, threshold) in places:
        _threshold(chart, threshold, x, end, height)
        chart.add(_tips(shown.edges, series, x, end, height))
    chart.text((x.start + x.end) / 2, chart.height - 8, chart.fitted(shown.title, x.end - x.start), "name", "middle")
    return chart.svg(f"Histograms of {elided(shown.title, 60)} before and {words.after}, one area for each true class")


def _area(edges: Sequence[float], heights: Sequence[float], number: int, x: Axis, y: Axis) -> Markup:
    path = f"M{x.at(edges[0]):.1f} {y.start}"
    path += "".join(f"V{y.at(tall):.1f}H{x.at(edge):.1f}" for tall, edge in zip(heights, edges[1:], strict=True))
    return tag("path", class_=f"area c{number}", d=f"{path}V{y.start}Z", data_series=f"class{number}")


def _tips(edges: Sequence[float], series: Series, x: Axis, end: float, height: float) -> Markup:
    """One invisible column over each bin that tells what lies in it."""
    totals = {label: max(sum(counts), 1) for label, counts in series.items()}
    columns = []
    for at, (low, high) in enumerate(pairwise(edges)):
        inside = "; ".join(
            f"{elided(label, 30)} {counts[at]:,} ({percent(counts[at] / totals[label])})"
            for label, counts in series.items()
        )
        tip = f"{_score(low, x)} to {_score(high, x)}: {inside}"
        left, right = x.at(low), x.at(high)
        columns.append(tag("rect", data_tip=tip, x=left, y=end, width=right - left, height=height))
    return group(columns, class_="hit")


def _threshold(chart: Chart, threshold: float | None, x: Axis, end: float, height: float) -> None:
    if threshold is None or not x.holds(threshold):
        return
    place = x.at(threshold)
    anchor, shift = ("end", -8) if place > (x.start + x.end) / 2 else ("start", 8)
    chart.add(tag("path", class_="threshold", d=f"M{place:.1f} {end + height}V{end}"))
    chart.text(place + shift, end + 12, f"decision at {_score(threshold, x)}", "halo strong", anchor)


def _heights(counts: Sequence[int], unit: str) -> list[float]:
    total = max(sum(counts), 1)
    return [100 * count / total for count in counts] if unit == "shares" else [float(count) for count in counts]


def _tallest(series: Series, unit: str) -> float:
    return max(max(_heights(counts, unit)) for counts in series.values()) or 1.0


def _score(value: float, x: Axis) -> str:
    span = x.high - x.low
    return plain(value, 3 if span <= 2 else 2 if span <= 200 else 0)


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
