"""What was saved half-way over something older: files of two savings are never taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from metricopt import load
from metricopt._errors import CheckpointError

from .conftest import Runs


@pytest.mark.parametrize(
    "name",
    ["rows.jsonl", *(pytest.param(name, marks=pytest.mark.full) for name in ("model.safetensors", "report_data.json"))],
)
def test_an_outcome_with_a_file_of_another_one_is_refused(runs: Runs, tmp_path: Path, name: str) -> None:
    assert runs.run(tmp_path / "run")["finished"]
    file = tmp_path / "run" / name
    sound = file.read_bytes()
    file.write_bytes(sound + b" " if name == "model.safetensors" else sound.replace(b'"seconds"', b' "seconds"', 1))
    with pytest.raises(CheckpointError, match=f"{name} is not the file that was saved with outcome.json"):
        load(tmp_path / "run")


def test_an_outcome_without_figures_is_not_finished(runs: Runs, tmp_path: Path) -> None:
    assert runs.run(tmp_path / "run")["finished"]
    (tmp_path / "run" / "outcome.json").unlink()
    with pytest.raises(CheckpointError, match="holds no finished outcome.*Run the same command again to finish it"):
        load(tmp_path / "run")
