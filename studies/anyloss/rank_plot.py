"""The critical-difference plot of Demšar as SVG: one axis of mean ranks for each metric and network."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from .contenders import CONTENDERS
from .networks import TITLES
from .study import Block, Study
from .wording import METRIC_TITLES

#: Sizes in pixels: of a panel, of its margins beside the axis, and between lines of text.
WIDTH, SIDE, LINE = 800, 265, 17
AXIS = 62
#: Distance between two bars of contenders that are not told apart.
BAR = 6


def rank_plot(study: Study) -> str:
    """All panels below each other, as the text of an SVG file.

    A contender's stem ends at its mean rank; a thick bar joins those that the Nemenyi test does not tell apart.
    """
    panels, top = [], 0.0
    for block in study.blocks:
        drawn, height = _panel(block)
        panels.append(Markup('<g transform="translate(0 {})">{}</g>').format(_short(top), drawn))
        top += height
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            'font-family="sans-serif" font-size="12"><title>{title}</title>'
            '<rect width="{w}" height="{h}" fill="white"/>{panels}</svg>\n'
        ).format(
            w=WIDTH,
            h=_short(max(top, LINE)),
            title=f"{study.spec.title}: mean ranks and critical differences",
            panels=Markup("").join(panels),
        )
    )


def _panel(block: Block) -> tuple[Markup, float]:
    """One panel and its height."""
    ranks = block.ranks
    count = len(ranks.mean)
    order = sorted(range(count), key=lambda i: ranks.mean[i])
    groups = ranks.groups()
    below = AXIS + 14 + BAR * len(groups)
    half = -(-count // 2)
    parts = [
        _text(12, 20, f"{METRIC_TITLES[block.metric]}, {TITLES[block.network]}", weight="bold"),
        *_axis(count),
        *_critical(ranks.critical, count),
    ]
    for position, i in enumerate(order):
        left = position < half
        y = below + LINE * (position if left else count - 1 - position)
        name = CONTENDERS[block.lines[i].contender].title
        parts += _stem(_place(ranks.mean[i], count), y, f"{name}  {ranks.mean[i]:.2f}", left=left)
    for row, members in enumerate(groups):
        ends = [_place(ranks.mean[i], count) for i in members]
        y = AXIS + 8 + BAR * row
        parts.append(_line(min(ends) - 3, y, max(ends) + 3, y, width=3.5))
    return Markup("").join(parts), below + LINE * half + 10


def _axis(count: int) -> list[Markup]:
    parts = [_line(_place(1, count), AXIS, _place(count, count), AXIS)]
    for tick in range(1, count + 1):
        x = _place(tick, count)
        parts += [_line(x, AXIS - 5, x, AXIS), _text(x, AXIS - 8, str(tick), anchor="middle")]
    return parts


def _critical(critical: float | None, count: int) -> list[Markup]:
    """The length of the critical difference, above the axis on the right; longer than the axis it is only told."""
    if critical is None:
        return []
    label = _text(WIDTH - 12, 20, f"CD {critical:.2f}", anchor="end")
    if critical > count - 1:
        return [label]
    begin, end = _place(1, count), _place(1 + critical, count)
    y = AXIS - 26
    return [label, _line(begin, y, end, y, width=2), *(_line(x, y - 4, x, y + 4) for x in (begin, end))]


def _stem(x: float, y: float, label: str, *, left: bool) -> list[Markup]:
    edge = SIDE - 8 if left else WIDTH - SIDE + 8
    return [
        _line(x, AXIS, x, y),
        _line(x, y, edge, y),
        _text(edge - 4 if left else edge + 4, y + 4, label, anchor="end" if left else "start"),
    ]


def _place(rank: float, count: int) -> float:
    """The horizontal place of a rank: 1 on the left."""
    return SIDE + (rank - 1) / max(count - 1, 1) * (WIDTH - 2 * SIDE)


def _line(x1: float, y1: float, x2: float, y2: float, *, width: float = 1) -> Markup:
    ends: Sequence[float] = (x1, y1, x2, y2)
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="black" stroke-width="{}"/>').format(
        *(_short(end) for end in ends), _short(width)
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" font-weight="{}">{}</text>').format(
        _short(x), _short(y), anchor, weight, escape(text)
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
