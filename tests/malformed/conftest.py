"""A process that reads damaged things under guard, and one sound example of everything that can be read."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import metricopt
from tally import Tally

from .mutations import CANARY

SCRIPT = Path(__file__).with_name("guarded_reader.py")
#: A reader that takes longer than this hangs.
PATIENCE = 40


class Reader:
    """The other end of `guarded_reader.py`. `examples` holds the sound things; its working directory is `home`."""

    def __init__(self, home: Path) -> None:
        self.home, self.examples = home, home / "examples"
        self.counts: Counter[str] = Counter()
        self.sound: Counter[str] = Counter()
        self.examples.mkdir()
        alone = {
            "PYTHONPATH": str(Path(metricopt.__file__).resolve().parents[1]),  # the same copy of the package as here
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, SCRIPT, self.examples],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | alone,
        )
        try:
            assert self._heard() == {"ready": True}
        except BaseException:
            self.close()
            raise

    what = "a damaged thing"

    def read(self, kind: str, path: Path, **more: Any) -> dict[str, Any]:
        return self.ask(kind=kind, path=str(path), **more)

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._heard()

    def judge(self, reply: dict[str, Any], case: object, *, names: str | None = None) -> bool:
        """Whether it was loaded. An error must be one of ours and one clear line; nothing may have been done or run.

        Args:
            reply: of the reader.
            case: says which input it was.
            names: what the message must name.
        """
        self.counts[self.what] += 1
        assert not reply["deeds"], (case, reply)
        assert not (self.home / CANARY).exists(), case
        if reply["error"] is None:
            self.sound[self.what] += 1
            return True
        assert reply["ours"], f"{case}\n{reply['error']}"
        message = reply["error"]
        assert message.isprintable(), (case, message)  # one line, and nothing that a terminal would obey
        assert 20 < len(message) < 1200, (case, message)
        assert names is None or names in message, (case, message)
        return False

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _heard(self) -> dict[str, Any]:
        out = self._process.stdout
        assert out is not None
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([out], [], [], PATIENCE)[0]:
                self._process.kill()
                raise AssertionError("the reader hangs")
            part = os.read(out.fileno(), 1 << 20)
            assert part, f"the reader has died with {self._process.wait()}"
            line += part
        heard: dict[str, Any] = json.loads(line)
        return heard


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory, tally: Tally) -> Iterator[Reader]:
    process = Reader(tmp_path_factory.mktemp("reader"))
    yield process
    process.close()
    for what, tried in process.counts.items():  # the guard's own tests are no damage that was tried
        if what:
            tally.add(what, tried=tried, sound=process.sound[what])


@pytest.fixture(autouse=True)
def of_this_test(reader: Reader, request: pytest.FixtureRequest) -> None:
    """What is read counts as what the name of the test says."""
    bare = request.node.name.partition("[")[0].removeprefix("test_")
    reader.what = bare.replace("_", " ") if "guard" not in request.node.nodeid else ""


@pytest.fixture
def fresh(tmp_path: Path, reader: Reader) -> Iterator[Any]:
    """`fresh("finished")` is a new copy of that example; at most one is there at a time."""
    place = tmp_path / "case"

    def copied(name: str) -> Path:
        if place.exists():
            shutil.rmtree(place)
        place.mkdir()
        source = reader.examples / name
        if source.is_dir():
            shutil.copytree(source, place / name)
        else:
            shutil.copy(source, place / name)
        return place / name

    yield copied
