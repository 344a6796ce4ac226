"""A report_data takes plain finite data and nothing else, and its JSON comes back exactly or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import CheckpointError, ConfigError
from metricopt.report import Confusion, Histogram, OnTestRows, Point, Prediction, ReportData, Run, Stage
from report.reports import STORIES, binary, minimal


@pytest.mark.parametrize("name", STORIES)
def test_json_comes_back_exactly(name: str) -> None:
    report_data = STORIES[name]()
    text = report_data.to_json()
    assert text.isascii()
    assert "\n" not in text
    again = ReportData.from_json(text)
    assert again == report_data
    assert again.to_json() == text


def test_a_story_from_before_there_were_test_rows_is_read() -> None:
    fields = json.loads(binary().to_json())
    assert fields.pop("test") is None
    assert ReportData.from_json(json.dumps(fields)) == binary()


def test_lists_and_numpy_numbers_become_plain_values() -> None:
    report_data = minimal(
        bounds=[0, 1],
        before=np.float32(0.5),
        calls=np.int64(7),
        stages=[Stage("a", "A", np.float64(0.5), 2, 1, False, np.array([0.25, 0.5]))],
        confusion=Confusion(["a", "b"], np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    )
    assert (report_data.bounds, report_data.before, report_data.calls) == ((0.0, 1.0), 0.5, 7)
    assert report_data.stages[0].observed == (0.25, 0.5)
    assert report_data.confusion is not None
    assert report_data.confusion.before == ((1, 2), (3, 4))
    assert {type(report_data.before), type(report_data.stages[0].value)} == {float}
    assert type(report_data.calls) is type(report_data.confusion.before[0][0]) is int


def test_bounds_that_mean_none_are_kept_in_check() -> None:
    report_data = minimal(bounds=(-1.7e308, 1.7e308))
    assert report_data.bounds == (-1e100, 1e100)
    assert ReportData.from_json(report_data.to_json()) == report_data


def test_what_the_caller_keeps_does_not_change_the_story() -> None:
    facts = {"seed": "0"}
    report_data = minimal(facts=facts)
    facts["seed"] = "1"
    assert report_data.facts == {"seed": "0"}


@pytest.mark.parametrize("higher", [True, False])
def test_direction_is_settled_in_one_place(higher: bool) -> None:
    report_data = minimal(higher_is_better=higher, before=0.5, after=0.75)
    assert report_data.gain == (0.25 if higher else -0.25)
    assert report_data.best_so_far([0.5, 0.75, 0.25]) == ([0.5, 0.75, 0.75] if higher else [0.5, 0.5, 0.25])
    assert report_data.best_so_far([]) == []


RUN = {"steps": (0, 1), "losses": (1.0, 0.5), "mean": (0.1, 0.2), "std": (0.0, 0.1), "seen": ((0, 0.1),), "label": "a"}
HISTOGRAM = {"title": "score", "edges": (0.0, 0.5, 1.0), "before": {"a": (1, 2)}, "after": {"a": (2, 1)}}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: minimal(before=math.nan), "before must be a finite number"),
        (lambda: minimal(after=math.inf), "after must be a finite number"),
        (lambda: minimal(after=1e101), "after must be a finite number of size at most"),
        (lambda: minimal(before=torch.tensor(0.5)), r"before must be a plain number.*\.item\(\)"),
        (lambda: minimal(before=True), "before must be a plain number, got True"),
        (lambda: minimal(before=10**5000), "before must be a finite number.*bits"),
        (lambda: minimal(title=3), "title must be a string"),
        (lambda: minimal(title="a" * 10_001), "title must be a string of at most 10,000 characters, got 10,001"),
        (lambda: minimal(accepted=1), "accepted must be True or False"),
        (lambda: minimal(bounds=(1, 0)), "bounds must be two numbers .* with low < high"),
        (lambda: minimal(bounds=0.5), "bounds must be a sequence"),
        (lambda: minimal(bounds=np.array(0.5)), "bounds must be a sequence"),
        (lambda: minimal(low=0.1, high=0.0), "low and high must be an interval"),
        (lambda: minimal(low=None), "low and high must be an interval or both None"),
        (lambda: minimal(confidence=95), "confidence must lie between 0 and 1"),
        (lambda: minimal(calls=-1), "calls must be a whole number"),
        (lambda: minimal(calls=1.5), "calls must be a whole number"),
        (lambda: minimal(seconds=-0.1), "seconds must be at least 0"),
        (lambda: minimal(facts={"a": 1}), r"facts\['a'\] must be a string"),
        (lambda: minimal(facts=[("a", "b")]), "facts must be a mapping"),
        (lambda: minimal(stages=[{}]), r"stages\[0\] lacks calls, chosen"),
        (lambda: minimal(runs="ab"), "runs must be a sequence"),
        (lambda: minimal(confusion=HISTOGRAM), "confusion lacks labels and has the unknown names"),
        (lambda: minimal(stages=[Stage("a", "A", None, 0, 0, False)] * 2), "names of stages must differ"),
        (lambda: minimal(stages=[Stage(name, "", None, 0, 0, True) for name in "ab"]), "at most one of the stages"),
        (lambda: Stage("a", "A", 0.5, 1, 1.0, False, (0.5, math.nan)), r"observed\[1\] must be a finite number"),
        (lambda: Run(**{**RUN, "mean": (0.1,)}), "mean must have one value for each of 2 steps, got 1"),
        (lambda: Run(**{**RUN, "steps": (1, 1)}), "steps must increase"),
        (lambda: Run(**{**RUN, "std": (0.0, -0.1)}), r"std\[1\] must be at least 0"),
        (lambda: Run(**{**RUN, "seen": ((0,),)}), r"seen\[0\] must have 2 entries"),
        (lambda: Run((), None, (), (), (), "a"), "steps must not be empty"),
        (lambda: OnTestRows(rows=5, before=0.5, after=0.6, low=0.1), "low and high must be an interval"),
        (lambda: OnTestRows(rows=-5, before=0.5, after=0.6), "rows must be a whole number"),
        (lambda: minimal(test=3), "test must be a OnTestRows, got 3"),
        (lambda: Prediction(0.1, -0.1, 0.1), "spread must be at least 0"),
        (lambda: Prediction(0.1, 1e101, 0.1), "spread must be a finite number of size at most"),
        (lambda: Run(**{**RUN, "std": (0.0, 1e101)}), r"std\[1\] must be a finite number of size at most"),
        (lambda: Point(0.0, math.nan, 0.0), "y must be a finite number"),
        (lambda: Confusion(("a",), ((1,),), ((1,),)), "labels must be two or more"),
        (lambda: Confusion(("a", "a"), ((1, 0), (0, 1)), ((1, 0), (0, 1))), "labels must be two or more different"),
        (lambda: Confusion(("a", "b"), ((1, 0), (0, 1)), ((1, 0),)), "after must be 2 x 2"),
        (
            lambda: Confusion(("a", "b"), ((1, -1), (0, 1)), ((1, 0), (0, 1))),
            r"before\[0\]\[1\] must be a whole number",
        ),
        (lambda: Confusion([str(at) for at in range(101)], (), ()), "labels must hold at most 100 entries, got 101"),
        (lambda: Histogram(**{**HISTOGRAM, "edges": (0.0, 1.0, 0.5)}), "edges must be two or more increasing"),
        (lambda: Histogram(**{**HISTOGRAM, "before": {"a": (1,)}}), "before must have 2 counts .* wrong: a"),
        (lambda: Histogram(**{**HISTOGRAM, "after": {"b": (1, 2)}}), "before and after must name the same classes"),
        (lambda: Histogram(**{**HISTOGRAM, "before": {}, "after": {}}), "before must have 2 counts"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def _changed(**changes: Any) -> str:
    return json.dumps({**json.loads(binary().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable report"),
        ("[]", "it must be a ReportData, got"),
        ("{}", "it lacks accepted, after"),
        (_changed(extra=1), "it has the unknown names .'extra'"),
        (_changed(title=None), "title must be a string .* got None"),
        (_changed(accepted=1), "accepted must be True or False, got 1"),
        (_changed(before=True), "before must be a plain number, got True"),
        (_changed(calls=3.0), "calls must be a whole number, got 3.0"),
        (_changed(before="0.5"), "before must be a plain number, got '0.5'"),
        (_changed(before=10**400), "before must be a finite number, got a whole number of 1,329 bits"),
        (_changed(bounds=[0, 1, 2]), "bounds must have 2 entries, got 3"),
        (_changed(facts={"a": 1}), r"facts\['a'\] must be a string .* got 1"),
        (_changed(stages=[{"name": "a"}]), r"stages\[0\] lacks calls"),
        (_changed(runs=[{**RUN, "std": [0.0]}]), r"runs\[0\]: std must have one value"),
        (_changed(embedding=[[0, 0, 0]]), r"embedding\[0\] must be a Point, got"),
        (_changed(confusion=3), "confusion must be a Confusion, got 3"),
        (_changed(after=math.nan), "it holds NaN, and every number must be finite"),
        (_changed(after=math.inf), "it holds Infinity"),
        (binary().to_json().replace('"calls": 646', '"calls": 646, "calls": 646'), "the name 'calls' stands twice"),
        (binary().to_json().replace('"after": 0.6894', '"after": 1e999'), "after must be a finite number"),
        (binary().to_json()[:-2], "not a readable report"),
        ('{"title": ' + "[" * 100_000, "nested too deeply"),
        ("1" * 5000, "not a readable report"),
        ("\x00", "not a readable report"),
    ],
)
def test_a_malformed_text_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        ReportData.from_json(text)


def test_a_text_of_absurd_size_is_refused_unread() -> None:
    with pytest.raises(CheckpointError, match="characters are more than any report has"):
        ReportData.from_json(" " * (64 * 1024 * 1024 + 1))


def test_bytes_are_not_text() -> None:
    with pytest.raises(CheckpointError, match="must be text, got bytes"):
        ReportData.from_json(b"{}")  # type: ignore[arg-type]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(choices=st.lists(st.integers(0, 10**6), min_size=1, max_size=12), value=JSON_VALUES, drop=st.booleans())
def test_any_value_in_any_place_is_read_exactly_or_refused(choices: list[int], value: Any, drop: bool) -> None:
    tree = json.loads(SMALL)
    place: Any = tree
    for at, choice in enumerate(choices):
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = keys[choice % len(keys)]
        deeper = isinstance(place[key], dict | list) and len(place[key]) > 0
        if deeper and at < len(choices) - 1:
            place = place[key]
            continue
        if drop:
            del place[key]
        else:
            place[key] = value
        break
    _read_or_refuse(json.dumps(tree))


@given(seed=st.integers(0, 10**9), edits=st.integers(1, 6))
def test_any_damaged_text_is_read_exactly_or_refused(seed: int, edits: int) -> None:
    draw, text = random.Random(seed), SMALL
    for _ in range(edits):
        at = draw.randrange(len(text))
        new = draw.choice(
            ["", '"', "{", "]", ",", "0", "-", "e9", "null", "\x00", "\ud800", "9" * 400, text[at : at + 20]]
        )
        text = text[:at] + new + text[at + draw.randrange(3) :]
    _read_or_refuse(text)


def _read_or_refuse(text: str) -> None:
    try:
        report_data = ReportData.from_json(text)
    except CheckpointError as error:
        assert str(error).startswith("not a readable report: ")
        assert len(str(error)) < 2000
    else:
        assert ReportData.from_json(report_data.to_json()) == report_data


def _small() -> str:
    """A report_data with everything, short enough that a mutation hits every part."""
    histogram = Histogram("score", (0.0, 0.5, 1.0), {"a": (1, 2), "b": (0, 3)}, {"a": (2, 1), "b": (1, 2)}, 0.5, None)
    return minimal(
        facts={"seed": "0"},
        stages=(Stage("a", "A", 0.5, 2, 1.0, True, (0.4, 0.5)),),
        runs=(Run((0, 5), (1.0, 0.5), (0.4, 0.5), (0.0, 0.1), ((0, 0.4),), "run"),),
        predictions=(Prediction(0.4, 0.1, 0.5),),
        embedding=(Point(0.0, 1.0, 0.5),),
        confusion=Confusion(("a", "b"), ((1, 2), (3, 4)), ((2, 1), (3, 4))),
        histogram=histogram,
        test=OnTestRows(rows=3, before=0.4, after=0.5, low=0.0, high=0.2),
    ).to_json()


SMALL = _small()


def test_a_story_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        minimal().after = 0.9  # type: ignore[misc]
