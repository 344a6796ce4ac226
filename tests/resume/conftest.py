"""Small runs in processes that can be killed, and what the folder of one holds when nobody kills it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("forked_runs.py")


class Runs:
    """The other end of `forked_runs.py`."""

    def __init__(self) -> None:
        alone = {
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | alone
        )
        try:
            assert self._heard() == {"ready": True}
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def run(self, folder: Path, **request: Any) -> dict[str, Any]:
        """Run to the end, or until `kill_after` seconds, or until the operation `at`."""
        return self.ask("run", folder=str(folder), **request)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process of the runs has died; its error stands above"
        heard: dict[str, Any] = json.loads(line)
        return heard


@dataclass(frozen=True)
class Whole:
    """A run that nobody stopped: what it left, which files it touched in which order, and how long it took."""

    result: dict[str, Any]
    operations: list[str]
    questions: int
    seconds: float


@pytest.fixture(scope="session")
def runs() -> Iterator[Runs]:
    process = Runs()
    yield process
    process.close()


@pytest.fixture(scope="session")
def whole_of(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """What a run of a kind leaves that nobody stops; made when it is first asked for."""
    return functools.cache(lambda kind: _whole(runs, kind, tmp_path_factory))


@pytest.fixture(scope="session")
def whole(whole_of: Callable[[str], Whole]) -> Whole:
    return whole_of("problem")


def _whole(runs: Runs, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folders = [tmp_path_factory.mktemp("whole") / "run" for _ in range(3)]
    replies = [runs.run(folder, kind=kind) for folder in folders]
    assert all(reply["finished"] for reply in replies)
    first, *others = (result_of(folder) for folder in folders)
    assert all(other == first for other in others)  # or no resumed run could be equal to it
    return Whole(
        result=first,
        operations=replies[0]["operations"],
        questions=replies[0]["asked"],
        seconds=min(reply["seconds"] for reply in replies),
    )


def result_of(folder: Path) -> dict[str, Any]:
    """All that a folder holds, without the times and what is made from them."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        timed = {"seconds", "check", "digest", "rows.jsonl", "report_data.json"}
        return {name: _timeless(entry) for name, entry in value.items() if name not in timed}
    return [_timeless(entry) for entry in value] if isinstance(value, list) else value


def kept_in(folder: Path) -> int:
    """How many answers a killed run has left."""
    cache = folder / "answers.jsonl"
    return cache.read_bytes().count(b"\n") if cache.exists() else 0
