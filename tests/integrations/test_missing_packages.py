"""Each integration names the extra that it needs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from metricopt._errors import MissingExtra
from metricopt.integrations.mlflow import MLflowSink
from metricopt.integrations.tensorboard import TensorBoardSink


def test_a_sink_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"TensorBoardSink needs .*metricopt\[tensorboard\]"):
        TensorBoardSink(tmp_path)
    with pytest.raises(MissingExtra, match=r"MLflowSink needs .*metricopt\[mlflow\]"):
        MLflowSink()


@pytest.mark.parametrize(("package", "module"), [("lightning", "pytorch"), ("transformers", "trainer_callback")])
def test_a_callback_without_its_package(package: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        """A package that was never installed: nothing finds it."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    for name in (package, f"{package}.{module}", f"metricopt.integrations.{package}"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingExtra, match=rf"MetricOptCallback needs .*metricopt\[{package}\]"):
        importlib.import_module(f"metricopt.integrations.{package}")
