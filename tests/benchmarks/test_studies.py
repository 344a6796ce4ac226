"""What the README says of a study is what its committed rows say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from metricopt.runtime import ResultStore

REPOSITORY = Path(__file__).resolve().parents[2]


def _study(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["transfer", "never_worse"])
def test_the_table_in_the_readme_is_that_of_the_rows(name: str) -> None:
    study = _study(name)
    rows = ResultStore(study.ROWS).rows()
    assert len(rows) >= 40
    assert study.summary(rows) in (REPOSITORY / "README.md").read_text()
