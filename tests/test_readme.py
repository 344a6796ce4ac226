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
    assert len(blocks) == 5
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    # The later blocks take other results; the model of the first is judged.
    script.write_text("\n".join([blocks[0], "first = result", *blocks[1:]]))
    with torch.random.fork_rng():
        names = runpy.run_path(str(script))
        x, y = names["x"], names["y"]
        assert isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
        f1, model, better = names["f1"], names["model"], names["first"].model
        assert f1(better(x[8000:]), y[8000:]) > f1(model(x[8000:]), y[8000:]) + 0.01
        assert names["loss"](model(x)[:, 0], y).item() > 0
    assert (tmp_path / "f1-value" / "learned_value.safetensors").is_file()


def test_it_fits_on_one_screen_of_scrolling() -> None:
    assert len(README.read_text().splitlines()) <= 130
