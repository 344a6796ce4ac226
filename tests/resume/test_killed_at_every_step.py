"""Stopped at each operation on each file that a run touches, and resumed.

A random moment rarely falls between a temporary file and its new name; these do.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from how_many import everything
from tally import Tally

from .conftest import Runs, Whole, kept_in, result_of

#: With `--all` every other operation in each of two parts; else a tenth of them.
STEP = 2 if everything() else 10


def moments(whole: Whole) -> list[tuple[str, int]]:
    """(operation, how often it has happened) for all operations; of the many cache some."""
    times: Counter[str] = Counter()
    found = []
    for label in whole.operations:
        times[label] += 1
        if label == "write answers.jsonl" and times[label] % 20 != 1:
            continue
        if label.startswith("mkdir") and times[label] > 1:
            continue  # the folder is there already
        if label == "fsync answers.jsonl" and times[label] > 1:
            continue  # how often it is flushed depends on the clock
        found.append((label, times[label]))
    return found


def resumes(runs: Runs, whole: Whole, folder: Path) -> None:
    kept = kept_in(folder)
    last = runs.run(folder)
    assert last["finished"], last
    assert last["asked"] == whole.questions - kept
    assert result_of(folder) == whole.result


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(2))
def test_killed_at_any_operation_it_resumes_to_the_same_bits(
    runs: Runs, whole: Whole, tmp_path: Path, tally: Tally, part: int
) -> None:
    """Writes are cut in half; so is what was not yet flushed, as a loss of power would: a temporary file, the cache."""
    found = moments(whole)
    assert {label for label, _ in found} >= {"write answers.jsonl", "fsync answers.jsonl", "replace outcome.json"}
    for number, (label, times) in enumerate(found[part::STEP]):
        folder = tmp_path / str(number) / "run"
        folder.parent.mkdir()
        killed = runs.run(folder, at=[label, times], then="tear")
        assert killed["killed"], (label, times, killed)
        resumes(runs, whole, folder)
        tally.add("killed in the middle of an operation on a file", tried=1, sound=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(2))
def test_a_full_disk_is_one_line_that_says_so_and_the_run_goes_on_when_there_is_room(
    runs: Runs, whole: Whole, tmp_path: Path, tally: Tally, part: int
) -> None:
    takes_room = ("mkdir", "open", "write", "pwrite", "fsync", "replace")
    for number, (label, times) in enumerate(moments(whole)[part::STEP]):
        if not label.startswith(takes_room):
            continue
        folder = tmp_path / str(number) / "run"
        folder.parent.mkdir()
        stopped = runs.run(folder, at=[label, times], then="fail")
        assert stopped["error"] is not None, (label, times, stopped)
        kind, message = stopped["error"]
        assert kind in ("WriteFailed", "ConfigError", "CheckpointError")
        assert "No space left on device" in message and str(folder) in message
        assert "\n" not in message
        resumes(runs, whole, folder)
        tally.add("the disk is full at an operation on a file", tried=1, sound=0)
