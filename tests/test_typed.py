"""Dataclasses of plain values: what fits their hints comes back from JSON exactly, anything else is refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import CheckpointError, ConfigError
from metricopt._typed import (
    MAY_LACK,
    Count,
    Least,
    Most,
    Number,
    Typed,
    from_json,
    from_plain,
    to_json,
    to_plain,
)


@dataclass(frozen=True, kw_only=True)
class Circle(Typed):
    radius: Annotated[float, Least(0)]


@dataclass(frozen=True, kw_only=True)
class Square(Typed):
    side: Annotated[float, Least(1)]
    corners: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Picture(Typed):
    title: str
    shapes: tuple[Circle | Square, ...]
    kind: Literal["line", "area"]
    sizes: Annotated[Mapping[str, Count], Most(2)] = field(default_factory=dict)
    worth: bool | float = True
    anything: Any = None
    middle: Number | None = field(default=None, metadata=MAY_LACK)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.title == "wrong":
            raise ConfigError("title is wrong")


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A dataclass that does not check itself: reading checks it."""

    name: str
    value: float


shapes = st.builds(Circle, radius=st.floats(0, 1e300)) | st.builds(Square, side=st.floats(1, 1e6))
pictures = st.builds(
    Picture,
    title=st.text(max_size=9).filter(lambda text: text != "wrong"),
    shapes=st.lists(shapes, max_size=3).map(tuple),
    kind=st.sampled_from(["line", "area"]),
    sizes=st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    worth=st.booleans() | st.floats(-5, 5),
    middle=st.none() | st.floats(-1e100, 1e100),
)


@given(picture=pictures)
def test_json_gives_back_the_same(picture: Picture) -> None:
    again = from_json(Picture, to_json(picture), "picture")
    assert again == picture
    assert type(again.worth) is type(picture.worth)


def test_numbers_of_numpy_and_lists_become_plain() -> None:
    picture = Picture(title="a", shapes=[Square(side=np.float32(2), corners=np.ones(2))], kind="line")
    assert picture.shapes == (Square(side=2.0, corners=(1.0, 1.0)),)
    assert {type(one) for one in picture.shapes[0].corners} == {float}  # type: ignore[union-attr]


def test_what_came_later_may_lack() -> None:
    found = to_plain(Picture(title="a", shapes=(), kind="line"))
    del found["middle"]
    assert from_plain(Picture, found, "picture").middle is None
    del found["worth"]
    with pytest.raises(CheckpointError, match="not a readable picture: it lacks worth"):
        from_plain(Picture, found, "picture")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 3}, "title must be a string .* got 3"),
        ({"title": "wrong"}, "not a readable picture: title is wrong"),
        ({"title": "a" * 10_001}, "at most 10,000 characters, got 10,001 characters"),
        ({"shapes": [{"radius": -1}]}, r"shapes\[0\]: radius must be at least 0, got -1"),
        ({"shapes": [{"side": 1, "corners": [0]}]}, r"shapes\[0\]: corners must have 2 entries, got 1"),
        ({"shapes": [{"angle": 1}]}, r"shapes\[0\] must be one of Circle, Square; got \{'angle': 1\}"),
        ({"shapes": "ab"}, "shapes must be a sequence"),
        ({"kind": "dot"}, "kind must be one of line, area; got 'dot'"),
        ({"kind": ["line"]}, "kind must be one of line, area"),
        ({"sizes": {"a": 1, "b": 2, "c": 3}}, "sizes must hold at most 2 entries, got 3"),
        ({"sizes": {"a": True}}, r"sizes\['a'\] must be a whole number, got True"),
        ({"sizes": {"a": -1}}, r"sizes\['a'\] must be a whole number of at least 0, got -1"),
        ({"sizes": {"a": 2**60}}, r"sizes\['a'\] must be a whole number"),
        ({"sizes": []}, "sizes must be a mapping"),
        ({"worth": "much"}, "worth must be one of bool, float; got 'much'"),
        ({"middle": 1e101}, "middle must be a finite number of size at most"),
        ({"middle": math.nan}, "middle must be a finite number, got nan"),
        ({"more": 1}, "it has the unknown names .'more'"),
    ],
)
def test_anything_else_is_refused_by_name(change: dict[str, object], message: str) -> None:
    found = to_plain(Picture(title="a", shapes=(), kind="line")) | change
    with pytest.raises(CheckpointError, match=message):
        from_plain(Picture, found, "picture")


def test_a_dataclass_that_does_not_check_itself_is_checked() -> None:
    assert from_plain(Plain, {"name": "a", "value": 3}, "thing") == Plain(name="a", value=3.0)
    with pytest.raises(CheckpointError, match="value must be a plain number, got 'b'"):
        from_plain(Plain, {"name": "a", "value": "b"}, "thing")
    with pytest.raises(CheckpointError, match="it must be a Plain, got"):
        from_plain(Plain, [1], "thing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "a", "name": "b", "value": 1}', "the name 'name' stands twice"),
        ('{"name": "a", "value": NaN}', "it holds NaN, and every number must be finite"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": ' + "[" * 900 + "]" * 900 + ', "value": 1}', "name must be a string"),
    ],
)
def test_json_that_is_not_strict_is_refused(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        from_json(Plain, text, "thing")
