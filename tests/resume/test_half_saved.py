"""What was saved half-way over something older: files of two savings are never taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metricopt import LearnedValue, ValueFunction, load
from metricopt._errors import CheckpointError

from .conftest import Runs


def _learned(seed: int) -> LearnedValue:
    source = torch.Generator().manual_seed(seed)
    function = ValueFunction(3, hidden=(4, 2), fingerprint="abc", generator=source).eval()
    phis, utilities = torch.randn(5, 3, generator=source), torch.rand(5, generator=source)
    return LearnedValue(function=function, phis=phis, utilities=utilities, metric="f1")


def test_a_value_function_beside_the_observations_of_another_is_refused(tmp_path: Path) -> None:
    _learned(0).save(tmp_path)
    _learned(1).function.save(tmp_path / "value.safetensors")  # and here the power went
    with pytest.raises(CheckpointError, match="were not saved together: saving was stopped half-way"):
        LearnedValue.load(tmp_path)
    _learned(1).save(tmp_path)
    assert torch.equal(LearnedValue.load(tmp_path).phis, _learned(1).phis)


@pytest.mark.parametrize("name", ["model.safetensors", "report_data.json", "rows.jsonl"])
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
