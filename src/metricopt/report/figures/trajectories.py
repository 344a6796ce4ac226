"""Metric and loss along the trajectories, with the few places where the metric was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import NARROW, WIDE, Absent, Choice, Figure, Numbers, Option, when
from ..report_data import ReportData, Run
from ..svg import elided, group, polyline, tag, thinned
from ..wording import Wording, counted

_TITLE = "Metric and loss along the trajectory"
_MOST_PICKED = 8
_MOST_LINES = 40
_MOST_POINTS = 40
_FEW_POINTS = 20
_MOST_SEEN = 30
_BAND = 2.0  # standard deviations on each side


def trajectories(report_data: ReportData) -> Figure | Absent:
    """All runs as thin lines; the one that is picked with its band, its observations and its loss."""
    if not report_data.runs:
        return Absent(_TITLE, "no method that follows a loss was part of the search")
    picked = _picked(report_data)
    chosen = str(picked[0])
    options = tuple(
        Option(value=str(at), label=elided(report_data.runs[at].label, 34) or f"run {at + 1}") for at in picked
    )
    return Figure(
        key="trajectories",
        title=_TITLE if _has_loss(report_data.runs) else "Metric along the trajectory",
        caption=_caption(report_data, picked),
        measured="The metric is measured on the search part, the loss on training data.",
        wide=_draw(report_data, picked, WIDE),
        narrow=_draw(report_data, picked, NARROW),
        choices=(Choice(name="run", legend="Run", options=options, chosen=chosen),) if len(picked) > 1 else (),
        numbers=_numbers(report_data.runs),
    )


def _numbers(runs: Sequence[Run]) -> Numbers:
    head = ("run", "step", "loss", "metric interpolated", "spread", "metric observed")
    rows: list[tuple[object, ...]] = []
    for run in runs:
        seen = dict(run.seen)
        losses = run.losses or (None,) * len(run.steps)
        rows += [
            (run.label, step, loss, mean, std, seen.get(step))
            for step, loss, mean, std in zip(run.steps, losses, run.mean, run.std, strict=True)
        ]
    return Numbers(head, rows)


def _caption(report_data: ReportData, picked: Sequence[int]) -> str:
    others = " Thin lines are the other runs." if len(report_data.runs) > 1 else ""
    limits = (
        f" Of {len(report_data.runs):,} runs the {len(picked)} with the best observed metric can be picked."
        if len(picked) < len(report_data.runs)
        else ""
    )
    loss = (
        " Where the loss falls and the metric does not follow, the two disagree." if _has_loss(report_data.runs) else ""
    )
    return (
        "Dots are metric calls. The line fills in the steps between them, and the band is two standard deviations "
        f"wide on each side.{loss}{others}{limits}"
    )


def _picked(report_data: ReportData) -> list[int]:
    """The runs that can be looked at one by one: those with the best observation first, then in their own order."""

    def best(at: int) -> float:
        run = report_data.runs[at]
        values = [value for _, value in run.seen] or list(run.mean)
        return max(report_data.better_by(value, 0.0) for value in values)

    ranked = sorted(range(len(report_data.runs)), key=best, reverse=True)[:_MOST_PICKED]
    return [ranked[0], *sorted(ranked[1:])]


def _has_loss(runs: Sequence[Run]) -> bool:
    return any(run.losses is not None for run in runs)


def _draw(report_data: ReportData, picked: Sequence[int], width: int) -> Markup:
    words, narrow, runs = Wording(report_data), width == NARROW, report_data.runs
    loss = _has_loss(runs)
    top, metric_height, loss_height = 34, 190 if narrow else 230, 110 if narrow else 120
    bottom = top + metric_height + (loss_height + 52 if loss else 0)
    chart = Chart("trajectories", width, bottom + 50)
    steps = [step for run in runs for step in (run.steps[0], run.steps[-1])]
    x = Axis.over(steps, 56, width - 16, about=4 if narrow else 8, whole=True, pad=0.0)
    y = Axis.over(_metric_values(runs, picked), top + metric_height, top, about=5, within=report_data.bounds)
    chart.vertical(y, 56, width - 16, words.axis)
    chart.add(chart.clipped(_context(runs, x, y, loss=False), x, y))
    panels = {at: [_focus_metric(chart, runs[at], x, y, words)] for at in picked}
    if loss:
        lower = _loss_axis(runs, bottom, bottom - loss_height)
        chart.vertical(lower, 56, width - 16, f"loss{' (logarithmic)' if lower.log else ''}, lower is better")
        chart.add(chart.clipped(_context(runs, x, lower, loss=True), x, lower))
        for at in picked:
            panels[at] += _focus_loss(chart, runs[at], x, lower)
    chart.horizontal(x, bottom, title="step")
    for at, parts in panels.items():
        chart.add(group(parts, **when("run", str(at), str(picked[0]))))
    shown = counted(len(runs), "trajectory").replace("trajectorys", "trajectories")
    return chart.svg(f"{words.metric} along {shown}")


def _metric_values(runs: Sequence[Run], picked: Sequence[int]) -> list[float]:
    values = [value for run in runs for value in (*run.mean, *(value for _, value in run.seen))]
    span = max(values) - min(values)
    # a band without any observation near is as wide as the metric itself: it may leave the picture
    reach = [
        mean + side * min(_BAND * std, span)
        for at in picked
        for mean, std in zip(runs[at].mean, runs[at].std, strict=True)
        for side in (-1, 1)
    ]
    return [*values, *reach]


def _loss_axis(runs: Sequence[Run], start: float, end: float) -> Axis:
    losses = [loss for run in runs for loss in run.losses or ()]
    log = min(losses) > 1e-30 and max(losses) > 30 * min(losses)  # below that a logarithm has no room for a margin
    return Axis.over(losses, start, end, about=3, log=log)


def _context(runs: Sequence[Run], x: Axis, y: Axis, *, loss: bool) -> list[Markup]:
    """Every run as a thin line; one path for all of them keeps the page small."""
    lines = []
    for run in thinned(runs, _MOST_LINES):
        values = run.losses if loss else run.mean
        if values is not None:
            pairs = thinned(list(zip(run.steps, values, strict=True)), _FEW_POINTS)
            lines.append(polyline((x.at(step), y.at(value)) for step, value in pairs))
    return [tag("path", class_="context", d="".join(lines))]


def _focus_metric(chart: Chart, run: Run, x: Axis, y: Axis, words: Wording) -> Markup:
    rows = thinned(list(zip(run.steps, run.mean, run.std, strict=True)), _MOST_POINTS)
    upper = [(x.at(step), y.at(mean + _BAND * std)) for step, mean, std in rows]
    lower = [(x.at(step), y.at(mean - _BAND * std)) for step, mean, std in rows]
    parts = [
        tag("path", class_="band", d=polyline([*upper, *reversed(lower)]) + "Z"),
        tag("path", class_="line strong-line", d=polyline((x.at(step), y.at(mean)) for step, mean, _ in rows)),
    ]
    dots = [
        tag(
            "circle",
            class_="dot",
            cx=x.at(step),
            cy=y.at(value),
            r=4.5,
            data_tip=f"step {step:,}: {words.value(value)}",
        )
        for step, value in thinned(run.seen, _MOST_SEEN)
        if y.holds(value) and x.holds(step)
    ]
    return group([chart.clipped(parts, x, y), *dots], class_="c0")


def _focus_loss(chart: Chart, run: Run, x: Axis, y: Axis) -> list[Markup]:
    if run.losses is None:
        words = tag("text", "no loss was followed in this run", class_="tick", x=x.start + 8, y=y.end + 16)
        return [words]
    pairs = thinned(list(zip(run.steps, run.losses, strict=True)), 2 * _MOST_POINTS)
    line = polyline((x.at(step), y.at(loss)) for step, loss in pairs if math.isfinite(loss))
    return [chart.clipped([tag("path", class_="line", d=line)], x, y, class_="c1")]
