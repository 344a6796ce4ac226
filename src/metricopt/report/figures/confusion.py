"""The confusion of the classes before and after, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Chart
from ..figure import HALF, NARROW, WIDE, Absent, Choice, Figure, Numbers, Option, when
from ..report_data import Confusion, ReportData
from ..svg import elided, group, short, tag
from ..ticks import MINUS, plain
from ..wording import Wording, compact, percent
from .classes import FEW_CLASSES
from .merged_classes import merged_classes

_TITLE = "Confusion before and after"
_COUNTS, _SHARES = "counts", "shares"
_UNIT = Choice(
    name="unit",
    legend="Numbers",
    options=(
        Option(value=_COUNTS, label="counts"),
        Option(value=_SHARES, label="shares of the row"),
    ),
    chosen=_COUNTS,
)
_STRONGEST = 0.55  # opacity of a full cell: its number stays readable in both themes
_ROOMY, _SMALLEST_WITH_TEXT, _SMALLEST_WITH_SLANTED, _SMALLEST_WITH_NAME = 46, 26, 18, 13


def confusion(report_data: ReportData) -> Figure | Absent:
    """Two matrices with the true class in rows; the colour is the share of the row."""
    if report_data.confusion is None:
        return Absent(_TITLE, "the outputs of the model are not labels, or it has too many classes")
    shown, words = merged_classes(report_data.confusion), Wording(report_data)
    half, full = len(shown.labels) <= FEW_CLASSES, report_data.confusion
    cell = _layout(shown, HALF if half else WIDE)[0]
    small = " Small numbers are the change." if cell >= _ROOMY else ""
    return Figure(
        key="confusion",
        title=_TITLE,
        caption=(
            "Rows are the truth, columns the prediction. Blue on the diagonal is right, orange is wrong; "
            f"the stronger, the larger the share of its row.{small}"
        ),
        measured=f"Measured on the {words.part}.",
        wide=_draw(shown, words, HALF if half else WIDE),
        narrow=_draw(shown, words, NARROW),
        half=half,
        choices=(_UNIT,) if cell >= _SMALLEST_WITH_TEXT else (),
        numbers=Numbers(
            ("truth", "prediction", "before", "after"),
            [
                (truth, said, full.before[i][j], full.after[i][j])
                for i, truth in enumerate(full.labels)
                for j, said in enumerate(full.labels)
            ],
        ),
    )


def _layout(shown: Confusion, width: int) -> tuple[float, float, float, bool]:
    """Side of a cell, room left of the rows, room between the matrices, and whether they stand one above the other."""
    size = len(shown.labels)
    stacked, left = width == NARROW or (width == HALF and size > 2), 150 if width == WIDE else 92
    gap, overhang = (44, 30) if size > FEW_CLASSES else (28, 0)
    cell = (width - left - overhang - (0 if stacked else gap)) / (size if stacked else 2 * size)
    return min(96.0, cell), left, gap, stacked


def _draw(shown: Confusion, words: Wording, width: int) -> Markup:
    cell, left, gap, stacked = _layout(shown, width)
    size, slanted = len(shown.labels), len(shown.labels) > FEW_CLASSES
    # Slanted names need height by their length, at most 96.
    names = min(96, 22 + 5 * max(len(label) for label in shown.labels)) if slanted else 24
    top = names + 48
    block = top + cell * size
    chart = Chart("confusion", width, (2 * block + 40 if stacked else block) + 10)
    for at, title in enumerate(("before", words.after)):
        x = left if stacked else left + at * (cell * size + gap)
        y = top + (at * (block + 40) if stacked else 0)
        middle = x + cell * size / 2
        above = y - (names + (16 if slanted else 10))
        chart.text(middle, above - 18, title, "strong", "middle")
        chart.text(middle, above, "prediction →", "name", "middle")
        chart.add(*_names(shown.labels, (x, y), cell, rows=stacked or at == 0, slanted=slanted, width=left))
        chart.add(_cells(shown, at == 1, (x, y), cell), *_numbers(shown, at == 1, (x, y), cell))
    right = sum(row[at] for at, row in enumerate(shown.before)), sum(row[at] for at, row in enumerate(shown.after))
    total = sum(map(sum, shown.before)), sum(map(sum, shown.after))
    shares = [percent(good / max(of, 1)) for good, of in zip(right, total, strict=True)]
    return chart.svg(f"Confusion of {size} classes; right answers {shares[0]} before, {shares[1]} {words.after}")


def _names(
    labels: Sequence[str], corner: tuple[float, float], cell: float, *, rows: bool, slanted: bool, width: float
) -> list[Markup]:
    """What the rows are, and the names of the classes beside rows and columns where there is room to write them."""
    (x, y), parts = corner, []
    if rows:
        parts.append(tag("text", "truth ↓", class_="name", x=x - 8, y=y - 8, text_anchor="end"))
    for at, label in enumerate(labels if cell >= _SMALLEST_WITH_NAME else ()):
        place = cell * (at + 0.5)
        if rows:
            name = elided(label, int((width - 8) / 7.4))
            parts.append(tag("text", name, class_="row", x=x - 8, y=y + place + 4.5, text_anchor="end"))
        if slanted and cell >= _SMALLEST_WITH_SLANTED:
            turn = f"translate({x + place:.1f} {y - 8}) rotate(-42)"
            parts.append(tag("text", elided(label, 14), class_="tick", transform=turn))
        elif not slanted:
            name = elided(label, max(int(cell / 7.5), 3))
            parts.append(tag("text", name, class_="tick", x=x + place, y=y - 8, text_anchor="middle"))
    return parts


def _cells(shown: Confusion, after: bool, corner: tuple[float, float], cell: float) -> Markup:
    """The coloured squares; what is empty has none of its own, only the ground."""
    matrix, size, rows = shown.after if after else shown.before, len(shown.labels), []
    ground = tag("rect", class_="ground", x=corner[0], y=corner[1], width=cell * size, height=cell * size, rx=4)
    for row, counts in enumerate(matrix):
        total, squares = sum(counts), []
        for column, count in enumerate(counts):
            if not count:
                continue
            place = f"M{short(corner[0] + cell * column + 1)} {short(corner[1] + cell * row + 1)}"
            side = short(cell - 2)
            tip = f"predicted {elided(shown.labels[column], 30)}: {count:,} ({percent(count / total)} of the row)"
            squares.append(
                tag(
                    "path",
                    class_="right" if row == column else "wrong",
                    fill_opacity=f"{0.04 + _STRONGEST * count / total:.2f}",
                    data_tip=tip,
                    d=f"{place}h{side}v{side}h-{side}z",
                )
            )
        rows.append(group(squares, data_lead=f"truth {elided(shown.labels[row], 30)}, "))
    return group([ground, *rows])


def _numbers(shown: Confusion, after: bool, corner: tuple[float, float], cell: float) -> list[Markup]:
    """What stands in the cells, once as counts and once as shares, with the change below where it fits."""
    if cell < _SMALLEST_WITH_TEXT:
        return []
    matrix, roomy = shown.after if after else shown.before, cell >= _ROOMY
    views: dict[str, list[Markup]] = {_COUNTS: [], _SHARES: []}
    for row, counts in enumerate(matrix):
        total = max(sum(counts), 1)
        for column, count in enumerate(counts):
            x, y = corner[0] + cell * (column + 0.5), corner[1] + cell * (row + 0.5) + 4.5
            was = shown.before[row][column]
            points = 100 * (count / total - was / max(sum(shown.before[row]), 1))
            below = {_COUNTS: _changed(count - was), _SHARES: plain(points, 1, signed=True)}
            said = {
                _COUNTS: compact(count),
                _SHARES: percent(count / total, 0) if roomy else f"{100 * count / total:.0f}",
            }
            for unit, texts in views.items():
                lift = 6 if after and roomy else 0
                texts.append(tag("text", said[unit], x=x, y=y - lift))
                if lift:
                    texts.append(tag("text", below[unit], class_="change", x=x, y=y + 10))
    size = "cells" if roomy else "cells small"
    parts = []
    for unit, texts in views.items():
        seen = when(_UNIT.name, unit, _UNIT.chosen)
        parts.append(group([group(texts, class_=size, text_anchor="middle")], **seen))
    return parts


def _changed(change: int) -> str:
    sign = "+" if change > 0 else MINUS if change < 0 else "±"
    return f"{sign}{compact(abs(change))}"
