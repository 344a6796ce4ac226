"""The examples of the README run as they stand, one after the other, and do what it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_run_and_improve_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks))
    with torch.random.fork_rng():
        names = runpy.run_path(str(script))
        x, y = names["x"], names["y"]
        assert isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
        f1, model, better = names["f1"], names["model"], names["better"]
        assert f1(better(x[8000:]), y[8000:]) > f1(model(x[8000:]), y[8000:]) + 0.01
        assert names["loss"](model(x)[:, 0], y).item() > 0
    assert (tmp_path / "f1-value" / "value.safetensors").is_file()
