"""What changed for which class: the share of right answers before and after."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Axis, Chart
from ..figure import HALF, NARROW, WIDE, Absent, Choice, Figure, Numbers, Option, when
from ..report_data import Confusion, ReportData
from ..svg import elided, group, tag
from ..ticks import plain
from ..wording import Wording, percent
from .merged_classes import merged_classes, right_of_predicted, right_of_truth

_TITLE = "What changed for which class"
_ROW = 34
#: With so few classes the picture needs half of the page.
FEW_CLASSES = 3

_OF_TRUTH, _OF_PREDICTED = "truth", "predicted"
_SOUGHT = Choice(
    name="of",
    legend="Right answers",
    options=(
        Option(value=_OF_TRUTH, label="per true class"),
        Option(value=_OF_PREDICTED, label="per prediction"),
    ),
    chosen=_OF_TRUTH,
)

Fractions = Sequence[tuple[int, int]]


def classes(report_data: ReportData) -> Figure | Absent:
    """A line for each class from its share of right answers before to the one after."""
    if report_data.confusion is None:
        return Absent(_TITLE, "the outputs of the model are not labels, or it has too many classes")
    if report_data.confusion.before == report_data.confusion.after:
        return Absent(_TITLE, "not one answer changed")
    confusion, words = merged_classes(report_data.confusion), Wording(report_data)
    half = len(confusion.labels) <= FEW_CLASSES
    merged = " Classes that changed least are put together." if confusion is not report_data.confusion else ""
    return Figure(
        key="classes",
        title=_TITLE,
        caption=(
            f"Right answers per true class (recall) or per prediction (precision): hollow is before, filled is "
            f"{words.after}. A gain for one class is often paid for by another; "
            f"{words.metric} decides whether the trade is worth it.{merged}"
        ),
        measured=f"Measured on the {words.part}.",
        wide=_draw(confusion, words, HALF if half else WIDE),
        narrow=_draw(confusion, words, NARROW),
        half=half,
        choices=(_SOUGHT,),
        numbers=Numbers(
            (
                "class",
                "true before",
                "right before",
                "true after",
                "right after",
                "predicted before",
                "predicted after",
            ),
            [
                (label, was[1], was[0], now[1], now[0], said_before[1], said_after[1])
                for label, was, now, said_before, said_after in zip(
                    report_data.confusion.labels,
                    *(right_of_truth(one) for one in (report_data.confusion.before, report_data.confusion.after)),
                    *(right_of_predicted(one) for one in (report_data.confusion.before, report_data.confusion.after)),
                    strict=True,
                )
            ],
        ),
    )


def _draw(confusion: Confusion, words: Wording, width: int) -> Markup:
    longest = max(len(elided(label, _most(width))) for label in confusion.labels)
    left, right = max(40, 7.4 * longest) + 22, 110 if width == WIDE else 66
    row = _ROW if len(confusion.labels) > FEW_CLASSES else 2 * _ROW
    chart = Chart("classes", width, 30 + row * len(confusion.labels) + 56)
    for name, fractions in ((_OF_TRUTH, right_of_truth), (_OF_PREDICTED, right_of_predicted)):
        before, after = fractions(confusion.before), fractions(confusion.after)
        parts = _view(chart, confusion.labels, before, after, (left, width - right), words)
        chart.add(group(parts, **when(_SOUGHT.name, name, _SOUGHT.chosen)))
    label = "; ".join(
        f"{elided(label, 40)}: {_share(*was)} to {_share(*now)}"
        for label, was, now in zip(
            confusion.labels, right_of_truth(confusion.before), right_of_truth(confusion.after), strict=True
        )
    )
    return chart.svg(f"Right answers of each true class before and after. {label}")


def _view(
    chart: Chart,
    labels: Sequence[str],
    before: Fractions,
    after: Fractions,
    sides: tuple[float, float],
    words: Wording,
) -> list[Markup]:
    """One of the two views: its own axis and one row for each class."""
    view = Chart(chart.key, chart.width, chart.height)
    shares = [right / of for right, of in (*before, *after) if of] or [0.0, 1.0]
    bottom = chart.height - 56
    axis = Axis.over([100 * share for share in shares], *sides, about=4, pad=0.12, within=(-1.5, 101.5))
    view.horizontal(axis, bottom, title="right answers in %", grid_to=30)
    view.text(chart.width, 20, "change", "name", "end")
    for at, label in enumerate(labels):
        y = 30 + (bottom - 30) / len(labels) * (at + 0.5)
        name = tag("title", label)
        view.add(
            tag(
                "text",
                elided(label, _most(chart.width)),
                name,
                class_="row",
                x=sides[0] - 14,
                y=y + 4.5,
                text_anchor="end",
            )
        )
        view.add(*_row(axis, before[at], after[at], y, f"{elided(label, 40)}: ", words))
        if before[at][1] and after[at][1]:
            points = 100 * (after[at][0] / after[at][1] - before[at][0] / before[at][1])
            view.text(chart.width, y + 4.5, plain(points, 1, signed=True), "row strong", "end")
        else:
            view.text(chart.width, y + 4.5, "never", "tick", "end")
    return [view.parts]


def _most(width: float) -> int:
    """How many letters of a class fit beside its row."""
    return 26 if width == WIDE else 12


def _row(axis: Axis, was: tuple[int, int], now: tuple[int, int], y: float, lead: str, words: Wording) -> list[Markup]:
    if not (was[1] or now[1]):
        return []
    drawn = []
    tip = f"{lead}{_share(*was)} before, {_share(*now)} {words.after}"
    ends = [axis.at(100 * right / of) for right, of in (was, now) if of]
    colour = "c0" if not was[1] or (now[1] and now[0] * was[1] >= was[0] * now[1]) else "c1"
    if len(ends) == 2:
        drawn.append(tag("path", class_="link", d=f"M{ends[0]:.1f} {y}H{ends[1]:.1f}", data_tip=tip))
    if was[1]:
        drawn.append(tag("circle", class_="was", cx=ends[0], cy=y, r=6, data_tip=tip))
    if now[1]:
        drawn.append(tag("circle", class_="dot", cx=ends[-1], cy=y, r=6, data_tip=tip))
    return [group(drawn, class_=colour)]


def _share(right: int, of: int) -> str:
    return f"{percent(right / of)} ({right:,} of {of:,})" if of else "none"
