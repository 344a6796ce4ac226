"""1,300 runs of five kinds, killed by SIGKILL at random moments and resumed: bit for bit what the whole run leaves."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from how_many import everything
from tally import Tally

from .conftest import Runs, Whole, kept_in, result_of

KILLS_A_PART = 25
#: Without `--all` one part in ten runs, with fewer kills; of a run of more than so many seconds with one.
FEW, LONG = 5, 3.0
#: Kinds of runs, and in how many parts.
KINDS = {"problem": 20, "table": 10, "external": 10, "front": 4, "bench": 8}
CASES = [(kind, part) for kind, parts in KINDS.items() for part in range(parts)]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "part"), CASES, ids=lambda value: str(value))
def test_a_killed_run_resumes_to_the_same_bits(
    runs: Runs, whole_of: Callable[[str], Whole], tmp_path: Path, tally: Tally, kind: str, part: int
) -> None:
    draw, whole = random.Random(f"{kind} {part}"), whole_of(kind)
    killed = attempts = 0
    wanted = KILLS_A_PART if everything() else 1 if whole.seconds > LONG else FEW
    while killed < wanted:
        attempts += 1
        assert attempts < 5 * wanted, "most runs end before they are killed: the measured duration is wrong"
        folder = tmp_path / f"run{attempts}"
        first = runs.run(folder, kind=kind, kill_after=draw.uniform(0, whole.seconds))
        assert first["killed"] or first["finished"], first
        killed += first["killed"]
        if kind == "problem":  # its metric tells that it is asked
            # At most one question was under way: all others were answered, and no answer is lost.
            assert first["asked"] - 1 <= kept_in(folder) <= first["asked"]
        if draw.random() < 0.25:
            again = runs.run(folder, kind=kind, kill_after=draw.uniform(0, whole.seconds))
            assert again["killed"] or again["finished"], again
            killed += again["killed"]
        kept = kept_in(folder)
        last = runs.run(folder, kind=kind)
        assert last["finished"], last
        if kind == "problem":
            assert last["asked"] == whole.questions - kept  # nothing that was answered is asked again
        assert result_of(folder) == whole.result
    tally.add(f"SIGKILL at a random moment, {NAMES[kind]}", tried=killed, sound=killed)


NAMES = {
    "problem": "a torch problem",
    "table": "a job on a table",
    "external": "a metric that is a program",
    "front": "a front of two metrics",
    "bench": "a table of the bench",
}
