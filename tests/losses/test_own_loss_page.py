"""The page that shows how to write a loss: its example is a file that works."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

import metricopt.losses.classification as group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-loss.md"


def test_the_file_on_the_page_is_a_loss(tmp_path, monkeypatch):
    (source,) = re.findall(r"```py\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    path = tmp_path / "squared_hinge.py"
    path.write_text(source)
    name = f"{group.__name__}.squared_hinge"  # relative imports must find the package around it
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    loss = module.ENTRY.factory(margin=2.0)
    assert float(loss(torch.tensor([1.0, -3.0]), torch.tensor([1, 1]))) == pytest.approx((1 + 25) / 2)
    assert module.ENTRY.card.name == "squared_hinge"
