"""Answers: kept as they come, given back in their order, believed only where they are whole."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metricopt._errors import CheckpointError, MetricOptError, WriteFailed
from metricopt.runtime import MetricCache


class Ticks:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _never() -> float:
    raise AssertionError("this was answered before")


def _filled(path: Path, *pairs: tuple[str, float]) -> Path:
    with MetricCache(path) as cache:
        for question, answer in pairs:
            cache.of(question, lambda answer=answer: answer)
    return path


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    path = _filled(tmp_path / "a", ("one", 0.1), ("two", 1 / 3))
    with MetricCache(path) as again:
        assert again.kept == 2
        assert again.of("two", _never) == 1 / 3  # to the last bit, in whatever order
        assert again.of("one", _never) == 0.1
        assert again.of("three", lambda: 3.0) == 3.0
    assert MetricCache(path).kept == 3


def test_a_question_that_is_asked_twice_has_two_answers_in_their_order(tmp_path: Path) -> None:
    path = _filled(tmp_path / "a", ("noisy", 0.1), ("other", 0.5), ("noisy", 0.2))
    with MetricCache(path) as again:
        assert [again.of("noisy", _never), again.of("noisy", _never)] == [0.1, 0.2]
        assert again.of("noisy", lambda: 0.3) == 0.3
    with MetricCache(path) as last:
        assert [last.of("noisy", _never) for _ in range(3)] == [0.1, 0.2, 0.3]


def test_without_a_file_nothing_is_kept() -> None:
    with MetricCache(None) as cache:
        assert cache.of("one", lambda: 1) == 1.0
        assert cache.of("one", lambda: 2) == 2.0
        assert cache.kept == 0


def test_an_error_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with MetricCache(path) as cache:
        with pytest.raises(ZeroDivisionError):
            cache.of("one", lambda: 1 / 0)
        with pytest.raises(ValueError, match="Out of range float"):
            cache.of("two", lambda: float("nan"))
    assert path.read_bytes() == b""


@pytest.mark.parametrize("left", [1, 20, -2, -1])
def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path, left: int) -> None:
    path = _filled(tmp_path / "a", ("one", 0.1), ("two", 0.2))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:left])
    with MetricCache(path) as again:
        assert again.kept == 1
        assert again.of("two", lambda: 0.25) == 0.25
    assert [json.loads(line)["answer"] for line in path.read_text().splitlines()] == [0.1, 0.25]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b'{"question": "one", "answer": 0.5, "seconds": 0.0}',
        b'{"question": "one", "answer": 0.5, "seconds": 0.0, "check": "00000000"}',
        b'{"question": 1, "answer": 0.5, "seconds": 0.0, "check": ""}',
        b'{"question": "one", "answer": "0.5", "seconds": 0.0, "check": ""}',
        b'{"question": "one", "answer": 1, "seconds": 0.0, "check": ""}',
        b'{"question": "one", "answer": NaN, "seconds": 0.0, "check": ""}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"first half\rsecond half",
    ],
)
def test_a_foreign_line_is_refused_by_its_number_and_the_file_left_alone(tmp_path: Path, line: bytes) -> None:
    path = _filled(tmp_path / "a", ("one", 0.1), ("two", 0.2))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="line 2 of .* was changed: .* Remove it and all lines below it"):
        MetricCache(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("old", "new"), [(b"0.2", b"0.3"), (b"two", b"twp"), (b"0.0", b"1.0")])
def test_a_changed_figure_is_noticed(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "a"
    ticks = Ticks()
    with MetricCache(path, clock=ticks) as cache:
        cache.of("one", lambda: 0.1)
        cache.of("two", lambda: 0.2)
    first, second = path.read_bytes().splitlines(keepends=True)
    assert old in second
    path.write_bytes(first + second.replace(old, new, 1))
    with pytest.raises(CheckpointError, match="line 2"):
        MetricCache(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        MetricCache(tmp_path / "a")


def test_a_link_is_not_followed_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("not yours")
    (tmp_path / "a").symlink_to("mine")
    with pytest.raises(MetricOptError, match="cannot write"):
        MetricCache(tmp_path / "a")
    assert (tmp_path / "mine").read_text() == "not yours"


def test_the_clock_goes_on_where_the_run_was_stopped(tmp_path: Path) -> None:
    path, ticks = tmp_path / "a", Ticks()
    with MetricCache(path, clock=ticks) as cache:
        ticks.now += 3.0
        cache.of("one", lambda: 0.1)
        ticks.now += 4.0
        cache.of("two", lambda: 0.2)
        assert cache.seconds() == 7.0
    ticks.now += 1000.0  # between a stop and the next start
    with MetricCache(path, clock=ticks) as again:
        assert again.seconds() == 0.0
        again.of("one", _never)
        assert again.seconds() == 3.0
        ticks.now += 0.5
        again.of("two", _never)
        assert again.seconds() == 7.0
        ticks.now += 2.0
        again.of("three", lambda: 0.3)
        assert again.seconds() == 9.0
    rows = [json.loads(line)["seconds"] for line in path.read_text().splitlines()]
    assert rows == [3.0, 7.0, 9.0]


def test_the_clock_never_goes_back_where_old_answers_come_in_later_than_they_did(tmp_path: Path) -> None:
    path, ticks = tmp_path / "a", Ticks()
    with MetricCache(path, clock=ticks) as cache:
        ticks.now += 1.0
        cache.of("one", lambda: 0.1)
        ticks.now += 1.0
        cache.of("two", lambda: 0.2)
    with MetricCache(path, clock=ticks) as again:
        ticks.now += 5.0  # a slower machine: coming back to the first question takes longer than it had
        seen = [again.seconds()]
        again.of("one", _never)
        seen.append(again.seconds())
        again.of("two", _never)
        seen.append(again.seconds())
    assert seen == [5.0, 5.0, 5.0]


def test_a_write_that_takes_only_a_part_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, payload: real(handle, payload[:7]))
    path = _filled(tmp_path / "a", ("one", 0.1))
    assert MetricCache(path).kept == 1


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_stops_the_run_and_leaves_what_was_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = _filled(tmp_path / "a", ("one", 0.1))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    again = MetricCache(path)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(WriteFailed, match="cannot write .*a': No space left on device"):
        again.of("two", lambda: 0.2)
        again.close()
    monkeypatch.undo()
    kept = MetricCache(path)
    assert kept.of("one", _never) == 0.1
