"""200 runs, killed by SIGKILL at random moments and resumed: bit for bit what the uninterrupted run leaves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .conftest import Runs, Whole, kept_in, result_of

KILLS_A_PART = 25


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(8))
def test_a_killed_run_resumes_to_the_same_bits(runs: Runs, whole: Whole, tmp_path: Path, part: int) -> None:
    draw = random.Random(part)
    killed = attempts = 0
    while killed < KILLS_A_PART:
        attempts += 1
        assert attempts < 5 * KILLS_A_PART, "most runs end before they are killed: the measured duration is wrong"
        folder = tmp_path / f"run{attempts}"
        first = runs.run(folder, kill_after=draw.uniform(0, whole.seconds))
        assert first["killed"] or first["finished"], first
        killed += first["killed"]
        # At most one question was under way: all others were answered, and no answer is lost.
        assert first["asked"] - 1 <= kept_in(folder) <= first["asked"]
        if draw.random() < 0.25:
            again = runs.run(folder, kill_after=draw.uniform(0, whole.seconds))
            assert again["killed"] or again["finished"], again
        kept = kept_in(folder)
        last = runs.run(folder)
        assert last["finished"], last
        assert last["asked"] == whole.questions - kept  # nothing that was answered is asked again
        assert result_of(folder) == whole.result
