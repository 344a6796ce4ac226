"""Methods compared: the best value that each had seen after so many metric calls."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import NARROW, WIDE, Absent, Figure, Numbers, Option, Table, Toggles
from ..report_data import MAX_SERIES, ReportData, Stage
from ..svg import elided, group, polyline, staircase, tag, thinned
from ..wording import Wording, counted, duration

_TITLE = "Methods compared"
_MOST_STEPS = 50


def anytime(report_data: ReportData) -> Figure | Absent:
    """Best value so far against calls, one staircase for each stage, and a table of what each proposed."""
    if not report_data.stages:
        return Absent(_TITLE, "the run kept no record of its stages")
    stages = [stage for stage in report_data.stages if stage.observed]
    alone = len(report_data.stages) == 1
    options = tuple(
        Option(value=f"stage{at}", label=elided(stage.title, 28), colour=_colour(stages, stage))
        for at, stage in enumerate(stages)
    )
    calls = Option(value="calls", label="single calls")
    return Figure(
        key="anytime",
        title="The search, call by call" if alone else _TITLE,
        caption=_caption(report_data, stages, alone),
        measured="Measured on the search part: the data that the search looks at, so these values are optimistic.",
        wide=_draw(report_data, stages, WIDE) if stages else None,
        narrow=_draw(report_data, stages, NARROW) if stages else None,
        toggles=(Toggles(legend="Show", options=(*options, calls)),) if stages else (),
        table=_table(report_data),
        numbers=Numbers(
            ("method", "call", "metric", "best so far"),
            [
                (stage.title, call, value, best)
                for stage in stages
                for call, (value, best) in enumerate(
                    zip(stage.observed, report_data.best_so_far(stage.observed), strict=True), start=1
                )
            ],
        ),
    )


def _caption(report_data: ReportData, stages: Sequence[Stage], alone: bool) -> str:
    chosen = next((stage for stage in report_data.stages if stage.chosen), None)
    end = f" The proposal of {elided(chosen.title, 60)} went to the acceptance test." if chosen else ""
    if not stages:
        return f"What each part of the search proposed; its single metric calls were not kept.{end}"
    who = "the search" if alone else "each method"
    turn = "rise" if report_data.higher_is_better else "fall"
    return (
        f"The line is the best value that {who} had seen after so many metric calls; "
        f"an early {turn} means that few calls are enough.{end}{_short_of_best(report_data, stages)}"
    )


def _short_of_best(report_data: ReportData, stages: Sequence[Stage]) -> str:
    """Why a line may end better than what its method proposed, where one does by so much that the page shows it."""
    words = Wording(report_data)
    ends = [(stage.value, report_data.best_so_far(stage.observed)[-1]) for stage in stages]
    if all(value is None or words.value(value) == words.value(best) for value, best in ends):
        return ""
    return (
        " A line can end better than the proposal in the table: the best single call may be luck, so a method may "
        "propose an average of good settings, or none that it takes for noise."
    )


def _table(report_data: ReportData) -> Table:
    words = Wording(report_data)
    rows = tuple(
        (
            elided(stage.title, 60),
            "none" if stage.value is None else words.value(stage.value),
            f"{stage.calls:,}",
            duration(stage.seconds),
            "to the acceptance test" if stage.chosen else "",
        )
        for stage in report_data.stages
    )
    marked = next((at for at, stage in enumerate(report_data.stages) if stage.chosen), None)
    head = ("Method", "Its proposal, on the search part", "Calls", "Time", "Went on")
    return Table(head=head, rows=rows, marked=marked)


def _draw(report_data: ReportData, stages: Sequence[Stage], width: int) -> Markup:
    words, narrow = Wording(report_data), width == NARROW
    chart = Chart("anytime", width, 300 if narrow else 380)
    best = {stage.name: report_data.best_so_far(stage.observed) for stage in stages}
    right = width - (12 if narrow else 200)
    x = Axis.over(
        [1, max(len(stage.observed) for stage in stages)], 52, right, about=4 if narrow else 8, whole=True, pad=0
    )
    y = Axis.over(_shown(report_data, list(best.values())), chart.height - 52, 34, about=4 if narrow else 6)
    chart.vertical(y, 52, right, f"{words.axis}, best so far")
    chart.horizontal(x, chart.height - 52, title="metric calls")
    ends = {}
    for at, stage in reversed(list(enumerate(stages))):
        chart.add(_stage(chart, report_data, stage, at, _colour(stages, stage), best[stage.name], x, y))
        ends[at] = y.at(best[stage.name][-1])
    if not narrow:
        _end_labels(chart, stages, ends, best, x, words)
    label = "; ".join(
        f"{elided(stage.title, 60)}: {words.value(best[stage.name][-1])} after {counted(len(stage.observed), 'call')}"
        for stage in stages
    )
    return chart.svg(f"Best {words.metric} so far. {label}")


def _stage(
    chart: Chart, report_data: ReportData, stage: Stage, at: int, colour: int, best: Sequence[float], x: Axis, y: Axis
) -> Markup:
    words, most = Wording(report_data), _MOST_STEPS if chart.width == WIDE else _MOST_STEPS // 2
    changes = [call for call in range(len(best)) if call == 0 or best[call] != best[call - 1]]
    corners = [(x.at(call + 1), y.at(best[call])) for call in (*thinned(changes, 2 * most), len(best) - 1)]
    singles = [call for call, value in enumerate(stage.observed) if y.holds(value)]
    specks = "".join(f"M{x.at(call + 1):.1f} {y.at(stage.observed[call]):.1f}h0" for call in thinned(singles, 3 * most))
    parts = [tag("path", class_="specks", d=specks, data_series="calls")] if specks else []
    parts.append(tag("path", class_="line strong-line" if stage.chosen else "line", d=staircase(corners)))
    parts += [
        tag(
            "circle",
            class_="dot",
            cx=x.at(call + 1),
            cy=y.at(best[call]),
            r=3,
            data_tip=f"call {call + 1:,}: {words.value(best[call])}",
        )
        for call in thinned(changes, most)
        if y.holds(best[call])
    ]
    return group(
        [chart.clipped(parts, _wider(x), _wider(y))],
        class_=f"c{colour}",
        data_series=f"stage{at}",
        data_lead=f"{elided(stage.title, 40)}, ",
    )


def _end_labels(
    chart: Chart, stages: Sequence[Stage], ends: dict[int, float], best: dict[str, list[float]], x: Axis, words: Wording
) -> None:
    """The name and the last value of each stage, right of the picture, with a thin line from where its curve ends."""
    order = sorted(ends, key=lambda at: ends[at])
    places = spread([ends[at] for at in order], 32.0, 30.0, chart.height - 60)
    for at, place in zip(order, places, strict=True):
        stage, last = stages[at], x.at(len(stages[at].observed))
        value = words.value(best[stage.name][-1])
        chart.add(
            group(
                [
                    tag(
                        "path",
                        class_="leader",
                        d=polyline([(last, ends[at]), (x.end + 6, ends[at]), (x.end + 16, place)]),
                    ),
                    tag("text", elided(stage.title, 23), class_="label", x=x.end + 20, y=place - 1),
                    tag("text", value, class_="tick", x=x.end + 20, y=place + 13),
                ],
                class_=f"c{_colour(stages, stage)}",
                data_series=f"stage{at}",
            )
        )


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Increasing places moved as little as needed to lie `gap` apart within [low, high], where there is room.

    >>> spread([10, 11, 50], 10, 0, 100)
    [10, 20, 50]
    """
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else max(place, low))
    ceiling = high
    for at in reversed(range(len(moved))):
        moved[at] = min(moved[at], ceiling)
        ceiling = moved[at] - gap
    return moved


def _shown(report_data: ReportData, best: Sequence[Sequence[float]]) -> list[float]:
    """The values that the vertical axis must hold: where every curve ends, and all but the worst of what came
    before."""
    pooled = sorted((value for values in best for value in values), key=lambda value: report_data.better_by(value, 0.0))
    return [pooled[len(pooled) // 20], pooled[-1], *(values[-1] for values in best)]


def _wider(axis: Axis) -> Axis:
    """The same with room for the half of a dot that lies on the border."""
    sign = 1 if axis.end > axis.start else -1
    return Axis(axis.low, axis.high, axis.start - 5 * sign, axis.end + 5 * sign, axis.ticks, axis.labels)


def _colour(stages: Sequence[Stage], stage: Stage) -> int:
    """The chosen stage has the first colour, the others follow in order."""
    order = sorted(range(len(stages)), key=lambda at: not stages[at].chosen)
    return order.index(next(at for at, other in enumerate(stages) if other.name == stage.name)) % MAX_SERIES
