"""The printed number and the tail of an output: what counts as one number, and what is kept of much text."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricopt.metrics.external.command import printed_number
from metricopt.metrics.external.tail import Tail, quoted

junk = st.text(alphabet="abc 0.5:,%\t", max_size=20)


@given(
    value=st.floats(allow_nan=False), before=st.lists(junk, max_size=3), after=st.sampled_from(["", "\n", "\r\n \n"])
)
def test_every_way_to_write_a_float_is_read_back(value: float, before: list[str], after: str) -> None:
    for written in (repr(value), f"{value:.17e}", f"{value:+.17E}", f"  {value!r}\t"):
        assert printed_number("".join(f"{line}\n" for line in before) + written + after) == value


@given(st.text(max_size=40))
def test_what_is_read_is_what_python_reads_in_the_last_line_that_is_not_blank(text: str) -> None:
    filled = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    number = printed_number(text)
    if number is not None:
        assert filled[-1].isascii() and "_" not in filled[-1]
        assert number == float(filled[-1]) or math.isnan(number)
    elif filled and filled[-1].isascii() and "_" not in filled[-1]:
        with pytest.raises(ValueError, match="could not convert"):
            float(filled[-1])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("7", 7.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("reading\n12 rows\n0.5", 0.5),
        ("10 %\r50 %\r0.5\n", 0.5),
        ("-inf", -math.inf),
        ("1e999", math.inf),
    ],
)
def test_numbers(text: str, want: float) -> None:
    assert printed_number(text) == want


def test_nan_is_told_from_no_number() -> None:
    assert math.isnan(printed_number("NaN") or 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\n",
        "0.5 0.6",
        "f1 = 0.5",
        "0,5",
        "50%",
        "[0.5]",
        "1_0",
        "٠.٥",
        "−0.5",
        "0x10",
        "0.5\ndone",
        "+",
        ".",
        "e5",
    ],
)
def test_no_number(text: str) -> None:
    assert printed_number(text) is None


def test_the_rest_of_a_line_that_was_cut_is_no_number() -> None:
    assert printed_number("5", cut=True) is None
    assert printed_number("...0.25\n5", cut=True) == 5.0


def test_a_very_long_line_of_digits_is_looked_at_once() -> None:
    assert printed_number("1" * 200_000 + "x") is None  # matched in two ways, this would take hours


@given(chunks=st.lists(st.binary(max_size=12), max_size=8), limit=st.integers(1, 20))
def test_a_tail_is_the_end_of_all_that_was_added(chunks: list[bytes], limit: int) -> None:
    tail = Tail(limit=limit)
    for chunk in chunks:
        tail.add(chunk)
    whole = b"".join(chunks)
    assert tail.text == whole[-limit:].decode("utf-8", errors="replace")
    assert tail.cut == (len(whole) > limit)


def test_a_quotation_is_short_and_steers_no_terminal() -> None:
    text = quoted("\n".join(f"line {i}" for i in range(100)) + "\n\x1b]0;title\x07 naïve ✓\n" + "x" * 5000)
    lines = text.splitlines()
    assert len(lines) == 9 and lines[0] == ""
    assert lines[1:3] == ["    line 94", "    line 95"]
    assert lines[-2] == "    ?]0;title? naïve ✓"
    assert len(lines[-1]) == 204 and lines[-1].endswith("xxx...")
