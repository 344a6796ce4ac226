"""The confusion of the classes before and after, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ..chart import Chart
from ..figure import HALF, NARROW, WIDE, Absent, Choice, Figure, Option, when
from ..story import Confusion, Story
from ..svg import elided, group, tag
from ..ticks import plain
from ..wording import Wording, compact, percent
from .classes import FEW_CLASSES
from .merged_classes import merged_classes

_TITLE = "Confusion before and after"
_COUNTS, _SHARES, _CHANGE = "counts", "shares", "change"
_UNIT = Choice(
    name="unit",
    legend="Numbers",
    options=(
        Option(value=_COUNTS, label="counts"),
        Option(value=_SHARES, label="shares of the row"),
        Option(value=_CHANGE, label="change"),
    ),
    chosen=_COUNTS,
)
_STRONGEST = 0.55  # opacity of a full cell: its number stays readable in both themes
_SMALLEST_WITH_TEXT = 26

Matrix = Sequence[Sequence[int]]


def confusion(story: Story) -> Figure | Absent:
    """Two matrices with the true class in rows; the colour is the share of the row."""
    if story.confusion is None:
        return Absent(_TITLE, "the outputs of the model are not labels, or it has too many classes")
    shown, words = merged_classes(story.confusion), Wording(story)
    half = len(shown.labels) <= FEW_CLASSES
    return Figure(
        key="confusion",
        title=_TITLE,
        caption=(
            "Rows are the truth, columns the prediction. Blue on the diagonal is right, orange is wrong; "
            "the stronger, the larger the share of its row."
        ),
        measured=f"Measured on the {words.part}.",
        wide=_draw(shown, words, HALF if half else WIDE),
        narrow=_draw(shown, words, NARROW),
        half=half,
        choices=(_UNIT,),
    )


def _draw(shown: Confusion, words: Wording, width: int) -> Markup:
    size = len(shown.labels)
    stacked, left = width == NARROW or (width == HALF and size > 2), 150 if width == WIDE else 92
    gap, slanted = 28, size > FEW_CLASSES
    cell = min(96, (width - left - (0 if stacked else gap)) / (size if stacked else 2 * size))
    top = (96 if slanted else 24) + 30
    block = top + cell * size
    chart = Chart("confusion", width, (2 * block + 40 if stacked else block) + 10)
    for at, title in enumerate(("before", words.after)):
        x = left if stacked else left + at * (cell * size + gap)
        y = top + (at * (block + 40) if stacked else 0)
        chart.add(*_matrix(shown, at == 1, (x, y), cell, title, rows=stacked or at == 0, slanted=slanted, left=left))
    right = sum(row[at] for at, row in enumerate(shown.before)), sum(row[at] for at, row in enumerate(shown.after))
    total = sum(map(sum, shown.before)), sum(map(sum, shown.after))
    shares = [percent(good / max(of, 1)) for good, of in zip(right, total, strict=True)]
    return chart.svg(f"Confusion of {size} classes; right answers {shares[0]} before, {shares[1]} {words.after}")


def _matrix(
    shown: Confusion,
    after: bool,
    corner: tuple[float, float],
    cell: float,
    title: str,
    *,
    rows: bool,
    slanted: bool,
    left: float,
) -> list[Markup]:
    (x, y), size = corner, len(shown.labels)
    middle = x + cell * size / 2
    parts = [tag("text", title, class_="strong", x=middle, y=y - (112 if slanted else 34), text_anchor="middle")]
    for at, label in enumerate(shown.labels):
        place = cell * (at + 0.5)
        if rows and cell >= 13:
            name = elided(label, 20 if left > 100 else 12)
            parts.append(tag("text", name, class_="row", x=x - 8, y=y + place + 4.5, text_anchor="end"))
        if slanted and cell >= 13:
            turn = f"translate({x + place:.1f} {y - 8}) rotate(-42)"
            parts.append(tag("text", elided(label, 14), class_="tick", transform=turn))
        elif not slanted:
            parts.append(
                tag(
                    "text",
                    elided(label, max(int(cell / 7.5), 3)),
                    class_="tick",
                    x=x + place,
                    y=y - 8,
                    text_anchor="middle",
                )
            )
    for row in range(size):
        parts += [_cell(shown, after, (row, column), corner, cell) for column in range(size)]
    return parts


def _cell(shown: Confusion, after: bool, at: tuple[int, int], corner: tuple[float, float], cell: float) -> Markup:
    row, column = at
    matrix = shown.after if after else shown.before
    count, total = matrix[row][column], sum(matrix[row])
    change = shown.after[row][column] - shown.before[row][column]
    share = count / total if total else 0.0
    x, y = corner[0] + cell * column, corner[1] + cell * row
    truth, said = elided(shown.labels[row], 40), elided(shown.labels[column], 40)
    tip = f"truth {truth}, predicted {said}: {count:,} ({percent(share)} of the row, change {plain(change, 0, signed=True)})"
    side = cell - 2
    box = {"x": x + 1, "y": y + 1, "width": side, "height": side, "rx": 3 if cell > 20 else 1}
    strength = f"{0.04 + _STRONGEST * share:.2f}" if count else "0.03"
    parts = [tag("rect", class_="right" if row == column else "wrong", fill_opacity=strength, data_tip=tip, **box)]
    if cell >= _SMALLEST_WITH_TEXT:
        small = " small" if cell < 46 else ""
        shares = percent(share, 0) if cell >= 46 else plain(100 * share, 0)
        texts = {_COUNTS: compact(count), _SHARES: shares, _CHANGE: _changed(change)}
        for name, words in texts.items():
            seen = when(_UNIT.name, name, _UNIT.chosen)
            parts.append(
                tag(
                    "text",
                    words,
                    class_=f"cell{small} {seen.get('class_', '')}".rstrip(),
                    data_when=seen["data_when"],
                    x=x + cell / 2,
                    y=y + cell / 2 + 4.5,
                    text_anchor="middle",
                )
            )
    return group(parts)


def _changed(change: int) -> str:
    sign = "+" if change > 0 else "\N{MINUS SIGN}" if change < 0 else ""
    return f"{sign}{compact(abs(change))}"
