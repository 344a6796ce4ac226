"""The promise of the library: over 200 random small problems, worse than the start on fresh rows in at most 1 %."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "studies"
CHUNKS, CHUNK = 20, 10


def _study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("never_worse", BENCHMARKS / "never_worse.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers: their base folders are neighbours."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen") else base
    (shared / "never_worse").mkdir(exist_ok=True)
    return shared / "never_worse"


@pytest.mark.exhaustive
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_problem_of_this_chunk_is_lost_and_hardly_any_becomes_worse(chunk: int, folder: Path) -> None:
    """Each chunk may hold one that is worse; all together at most two of 200, which the last chunk to end checks."""
    study = _study()
    torch.set_num_threads(1)
    fates = [study.meet(study.SmallProblem.draw(chunk * CHUNK + i)) for i in range(CHUNK)]
    worse = sum(fate.worse for fate in fates)
    assert worse <= 1
    assert all(fate.fresh == 0.0 for fate in fates if not fate.accepted)
    (folder / f"{chunk}.json").write_text(json.dumps([worse, sum(fate.accepted for fate in fates)]))
    done = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert sum(row[0] for row in done) <= CHUNKS * CHUNK // 100
    if len(done) == CHUNKS:
        assert sum(row[1] for row in done) >= CHUNKS * CHUNK // 10  # refusing everything would be no feat
