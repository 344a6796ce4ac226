"""What a figure of the report consists of, before the page is laid out."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

#: Widths that pictures are drawn at: across the page, half of it, and on a phone.
WIDE, HALF, NARROW = 960, 460, 340


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
