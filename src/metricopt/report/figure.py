"""What a figure of the report consists of, before the page is laid out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from .svg import thinned

#: Widths that pictures are drawn at: across the page, half of it, and on a phone.
WIDE, HALF, NARROW = 960, 460, 340
#: More rows than this are not put into a page.
MOST_NUMBERS = 500


@dataclass(frozen=True, kw_only=True)
class Option:
    """One button: what it stands for, what it says, and the colour beside it, a number of the palette."""

    value: str
    label: str
    colour: int | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Buttons of which one is pressed: it shows what is marked `data-when="name:value"` and hides its rivals."""

    name: str
    legend: str
    options: tuple[Option, ...]
    chosen: str


@dataclass(frozen=True, kw_only=True)
class Toggles:
    """Buttons that each show or hide what is marked `data-series` with their value."""

    legend: str
    options: tuple[Option, ...]
    off: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A small table below a picture; `marked` is the row that stands out; `prose` has long texts, which wrap."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None
    prose: bool = False


@dataclass(frozen=True)
class Numbers:
    """The numbers behind a picture: a head, and rows as long as it."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[object]]

    @property
    def link(self) -> str:
        """At most `MOST_NUMBERS` rows, evenly thinned, as a data URL of a CSV in UTF-8.

        >>> from urllib.parse import unquote
        >>> unquote(Numbers(("a", "b"), [(1, "x, y"), (2.5, None)]).link.partition(",")[2]).split()
        ['a,b', '1,"x,', 'y"', '2.5,']
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.head)
        writer.writerows([_cell(value) for value in row] for row in thinned(self.rows, MOST_NUMBERS))
        return f"data:text/csv;charset=utf-8,{quote(text.getvalue(), safe=',:;+-.')}"


def _cell(value: object) -> object:
    """A number to seven digits; a text that a spreadsheet would take for a formula gets a quote in front."""
    if isinstance(value, float):
        return f"{value:.7g}"
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture at two widths with all that belongs to it.

    Args:
        key: unique on the page.
        title: what the picture shows.
        caption: how to read it, one or two sentences.
        measured: on which data.
        wide, narrow: the picture for a desk and for a phone, None where only the table can be shown.
        half: whether the wide picture takes half of the page.
        choices, toggles: its buttons.
        table: below the picture.
        numbers: what the picture shows, to be saved; that of the table where there is no picture.
    """

    key: str
    title: str
    caption: str
    measured: str
    wide: Markup | None
    narrow: Markup | None
    half: bool = False
    choices: tuple[Choice, ...] = ()
    toggles: tuple[Toggles, ...] = ()
    table: Table | None = None
    numbers: Numbers | None = None

    @property
    def csv(self) -> str:
        """Its numbers as a link that is saved as a CSV; empty where it has none."""
        numbers = self.numbers
        if numbers is None and self.wide is None and self.table is not None:
            numbers = Numbers(self.table.head, self.table.rows)
        return "" if numbers is None else numbers.link


@dataclass(frozen=True)
class Absent:
    """A picture that is not there, and why."""

    title: str
    why: str


def when(name: str, value: str, chosen: str) -> dict[str, str]:
    """Attributes of a part that is seen while the button `value` of the choice `name` is pressed.

    >>> when("unit", "counts", "shares")
    {'data_when': 'unit:counts', 'class_': 'off'}
    """
    seen = {"data_when": f"{name}:{value}"}
    return seen if value == chosen else {**seen, "class_": "off"}
