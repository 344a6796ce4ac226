"""The answer, first on the page: accepted or not, before and after, and the interval of the gain."""

from __future__ import annotations

from dataclasses import dataclass, replace

from markupsafe import Markup

from .chart import Axis, Chart
from .figure import HALF, NARROW
from .report_data import ReportData
from .svg import tag
from .ticks import plain
from .wording import Wording, counted, duration, percent


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What stands at the top of the page, in words.

    `state` is "accepted", "kept" (the original model comes back) or "unverified" (accepted without a test);
    `unchanged` where there was no candidate that differs from the original, so there is only one number to show.
    """

    state: str
    badge: str
    headline: str
    reason: str
    before: str
    before_label: str
    after: str
    after_label: str
    unchanged: bool
    gain: str
    interval: str
    measured: str
    decided: str
    numbers: tuple[tuple[str, str], ...]
    wide: Markup | None
    narrow: Markup | None


def answer(report_data: ReportData) -> Answer:
    """The answer of a report, in words and as a picture of the interval: of the test rows where there are some."""
    given, report_data = report_data, quoted(report_data)
    words = Wording(report_data)
    tested = report_data.low is not None and report_data.high is not None and not words.unchanged
    state = "kept" if not report_data.accepted else "accepted" if report_data.verified else "unverified"
    return Answer(
        state=state,
        badge={
            "accepted": "Accepted",
            "kept": "Original model kept" if report_data.loss_search is None else "Plain loss kept",
            "unverified": "Accepted, not verified",
        }[state],
        headline=f"No better {words.metric} was found: {words.kept}"
        if words.unchanged
        else _headline(report_data, words),
        reason=report_data.reason,
        before=words.shown_before,
        before_label=words.before,
        after=words.shown_after,
        after_label=words.after,
        unchanged=words.unchanged,
        gain=words.difference(report_data.gain),
        interval=_interval(report_data, words),
        measured=_measured(given, words),
        decided=_decided(given, words),
        numbers=(
            (f"{report_data.calls:,}", "metric call" if report_data.calls == 1 else "metric calls"),
            (duration(report_data.seconds), "in all"),
        ),
        wide=_picture(report_data, words, HALF) if tested else None,
        narrow=_picture(report_data, words, NARROW) if tested else None,
    )


def _headline(report_data: ReportData, words: Wording) -> str:
    if not report_data.accepted:
        return f"No gain in {words.metric} could be shown: {words.kept}"
    if report_data.terms:
        return _headline_of_terms(report_data)
    change = (
        "rises"
        if report_data.after > report_data.before
        else "falls"
        if report_data.after < report_data.before
        else "stays"
    )
    if change == "stays":
        return f"{words.metric} stays at {words.value(report_data.after)}"
    return f"{words.metric} {change} from {words.value(report_data.before)} to {words.value(report_data.after)}"


def _headline_of_terms(report_data: ReportData) -> str:
    """Of a constrained metric: what became of the objective, and which limits hold."""
    objective, *limits = report_data.terms
    broken = [one.text for one in limits if not one.kept]
    told = f"{', '.join(broken)} does not hold" if broken else f"{', '.join(one.text for one in limits)} holds"
    return f"{objective.text} {plain(objective.before, 3)} → {plain(objective.after, 3)}, and {told}"


def _interval(report_data: ReportData, words: Wording) -> str:
    if report_data.low is None or report_data.high is None:
        return "There is no interval: no acceptance test was made."
    sure = percent(report_data.confidence, _digits(report_data.confidence))
    return f"With {sure} confidence {words.interval(report_data.low, report_data.high)}."


def _digits(confidence: float) -> int:
    return 0 if abs(100 * confidence - round(100 * confidence)) < 1e-9 else 1


def quoted(report_data: ReportData) -> ReportData:
    """The data with the figures to quote as the main ones: those of the test rows, of a change that was accepted."""
    test = report_data.test
    if test is None or not report_data.accepted:
        return report_data
    terms = test.terms or report_data.terms
    return replace(report_data, before=test.before, after=test.after, low=test.low, high=test.high, terms=terms)


def _measured(report_data: ReportData, words: Wording) -> str:
    if report_data.test is not None:
        rows = f"{counted(report_data.test.rows, 'test row')} that nobody chose by"
        if report_data.accepted:
            return f"Measured on {rows}: the figures to quote."
        kept = f"On {rows}, the model as it was has {words.value(report_data.test.before)}: the figure to quote."
        return f"Before and after were measured on the acceptance part, which the search never saw. {kept}"
    if not report_data.verified:
        return (
            "Not verified: these numbers come from the data that the search itself looked at, so they are likely to be "
            "too good. Run again with an acceptance test before you rely on them."
        )
    return "Measured on the acceptance part of the validation data, which the search never saw."


def _decided(report_data: ReportData, words: Wording) -> str:
    """What decided, in one sentence, where it is not what is shown above; nothing else."""
    if report_data.test is None or not report_data.accepted:
        return ""
    change = f"{words.value(report_data.before)} → {words.value(report_data.after)}"
    gain = ""
    if report_data.low is not None and report_data.high is not None:
        gain = f" ({words.interval(report_data.low, report_data.high)})"
    if not report_data.verified:
        return f"The search was trusted, without an acceptance test; on the rows that it looked at: {change}."
    return f"Accepted on other rows, the acceptance part of the validation data: {change}{gain}."


def _picture(report_data: ReportData, words: Wording, width: int) -> Markup:
    """The interval of the gain beside the place of no change."""
    assert report_data.low is not None and report_data.high is not None
    chart = Chart("interval", width, 176)
    shown = [report_data.low, report_data.high, report_data.gain, 0.0]
    axis = Axis.over(shown, 62, width - 62, about=4 if width < HALF else 5, pad=0.04, signed=True)
    line, zero = 62.0, axis.at(0.0)
    chart.add(tag("rect", class_="better", x=zero, y=22, width=max(width - zero, 0), height=82))
    chart.horizontal(axis, 112.0)
    chart.add(tag("path", class_="axis", d=f"M0 112H{width}"))
    chart.add(tag("path", class_="zero", d=f"M{zero:.1f} 22V112"))
    left, right, gain = axis.at(report_data.low), axis.at(report_data.high), axis.at(report_data.gain)
    ends = f"{_signed(report_data.low, words)} to {_signed(report_data.high, words)}"
    tip = f"gain {_signed(report_data.gain, words)}, interval {ends}"
    chart.add(tag("path", class_="whisker", d=f"M{left:.1f} {line}H{right:.1f}", data_tip=tip))
    chart.add(tag("path", class_="ends", d=f"M{left:.1f} {line - 9}v18M{right:.1f} {line - 9}v18"))
    chart.add(tag("circle", class_="gain-dot", cx=gain, cy=line, r=7, data_tip=tip))
    chart.text(left - 8, line + 5, _signed(report_data.low, words), "halo end", "end")
    chart.text(right + 8, line + 5, _signed(report_data.high, words), "halo end")
    chart.text(gain, line - 17, _signed(report_data.gain, words), "halo strong", "middle")
    chart.text(0, 10, "← worse", "name")
    chart.text(width, 10, "better →", "name", "end")
    chart.text(zero, 148, "no change", "name", "middle" if 60 < zero < width - 60 else "start" if zero <= 60 else "end")
    chart.text(width / 2, 170, chart.fitted(f"gain in {words.metric}", width), "name", "middle")
    label = f"Gain {words.difference(report_data.gain)}. {_interval(report_data, words)}"
    return chart.svg(label)


def _signed(value: float, words: Wording) -> str:
    return plain(value, words.decimals, signed=True)


def sentence(report_data: ReportData) -> str:
    """The answer in one line of plain text, for a title or a preview."""
    report_data = quoted(report_data)
    words = Wording(report_data)
    calls = counted(report_data.calls, "metric call")
    return f"{_headline(report_data, words)} ({calls}, {duration(report_data.seconds)})"
