"""Elements of a picture as markup: everything that goes in is escaped, numbers are short."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from markupsafe import Markup, escape

T = TypeVar("T")

#: Characters that XML cannot hold at all, not even escaped, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Text with a replacement character where XML or UTF-8 has no way to write the original.

    >>> printable("a\\x00b")
    'a\N{REPLACEMENT CHARACTER}b'
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def tag(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """One element. Names of attributes lose a trailing underscore, other underscores become hyphens.

    >>> tag("text", "a < b", class_="label", text_anchor="end", x=1.25, y=3, fill=None)
    Markup('<text class="label" text-anchor="end" x="1.2" y="3">a &lt; b</text>')
    """
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{name}{opening}/>")
    return Markup(f"<{name}{opening}>{Markup('').join(_child(child) for child in children)}</{name}>")


def group(children: Iterable[Markup], **attributes: str | float | None) -> Markup:
    """Elements that share attributes."""
    return tag("g", Markup("").join(children), **attributes)


def short(value: float) -> str:
    """A coordinate with at most one decimal.

    >>> short(12.0), short(-0.04), short(3.14159)
    ('12', '0', '3.1')
    """
    rounded = round(float(value), 1) + 0.0  # minus zero becomes zero
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.1f}"


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """The `d` of a path through `points`; steps from each one to the next are shorter to write than places.

    >>> polyline([(100, 101), (102.5, 103), (102.5, 101)])
    'M100 101l2.5 2 0 -2'
    """
    first, *rest = [(round(x, 1), round(y, 1)) for x, y in points]
    steps, at = [], first
    for point in rest:
        steps.append(f"{short(point[0] - at[0])} {short(point[1] - at[1])}")
        at = point
    return f"M{short(first[0])} {short(first[1])}" + (f"l{' '.join(steps)}" if steps else "")


def staircase(points: Sequence[tuple[float, float]]) -> str:
    """The `d` of a path that keeps each height until the next point.

    >>> staircase([(0, 1), (2, 3)])
    'M0 1H2V3'
    """
    (x, y), *rest = points
    return f"M{short(x)} {short(y)}" + "".join(f"H{short(x)}V{short(y)}" for x, y in rest)


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly chosen, the first and the last among them.

    >>> thinned(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(at * (len(items) - 1) / (most - 1))] for at in range(most)]


def elided(text: str, most: int) -> str:
    """Text of at most `most` characters; what is cut shows as an ellipsis.

    >>> elided("Spruce/Fir", 7)
    'Spruce…'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _attribute(value: str | float) -> Markup:
    return escape(printable(value) if isinstance(value, str) else short(value))


def _child(child: str | Markup) -> Markup:
    return child if isinstance(child, Markup) else escape(printable(child))
