"""A program or a server that misbehaves at one call of a whole run: a clear error or none, and it goes on afterwards.

Hangs, processes that are left behind, floods of output, lies about its own length, rubbish, another answer than before.
What was answered is never asked again, and no call is made beyond the budget.
"""

from __future__ import annotations

import random
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from metricopt import optimize
from metricopt._errors import MetricError
from metricopt.methods import ThresholdTuning
from metricopt.metrics import Metric, from_command, from_url
from tally import Tally
from tiny_problem import tiny_data

from .conftest import kept_in, result_of

BUDGET = 62
#: What the program does at its one bad call, and whether the call still has an answer.
PROGRAMS: dict[str, tuple[str, bool]] = {
    "hangs": ("sleep 60", False),
    "hangs in a child": ("sh -c 'sleep 60'", False),
    "leaves a process behind": ("sleep 60 &", True),
    "floods its output": ("yes no-number | head -c 3000000", True),
    "floods its errors": ("yes trouble | head -c 3000000 >&2", True),
    "floods one line": ("head -c 3000000 /dev/zero | tr '\\0' 1; exit 0", False),
    "prints no number": ("echo fine; exit 0", False),
    "prints what is no finite number": ("echo nan; exit 0", False),
    "prints a number outside its range": ("echo 17; exit 0", False),
    "says nothing": ("exit 0", False),
    "fails": ("echo 0.5; exit 3", False),
    "is killed": ("kill -9 $$", False),
}
#: Bytes that the server sends at its one bad call; None: it never answers.
SERVERS: dict[str, bytes | None] = {
    "hangs": None,
    "hangs up": b"",
    "says that its answer is longer": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n0.5",
    "says that its answer is of negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nno number",
    "never ends": b"HTTP/1.1 200 OK\r\n\r\n" + b"1" * 200_000,
    "answers with a page": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
    "answers with no finite number": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nNaN",
    "answers a number outside its range": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n17",
    "sends elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "is broken": b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
    "speaks another language": b"\x16\x03\x01\x02\x00\x01",
}
MOMENTS = range(10)


def run(folder: Path, metric: Metric) -> None:
    model, inputs, targets = tiny_data("binary", examples=120, seed=0)
    optimize(
        model,
        metric=metric,
        train=(inputs[:60], targets[:60]),
        val=(inputs[60:], targets[60:]),
        method=ThresholdTuning(candidates=10),
        budget=BUDGET,
        dim=6,
        batch_size=16,
        run=folder,
        quiet=True,
    )


def left_in(folder: Path) -> dict[str, Any]:
    """What a run left, but for its page, which holds times."""
    return {name: what for name, what in result_of(folder).items() if name != "report.html"}


def moment(what: str, number: int, calls: int) -> int:
    """The call that goes wrong."""
    return random.Random(f"{what} {number}").randint(1, calls)


def goes_wrong_and_on(make: Callable[[int | None], Metric], asked: Callable[[], int], home: Path, at: int) -> bool:
    """Whether the run ended in spite of the bad call; else it was stopped in one line, and is resumed here."""
    folder = home / "run"
    try:
        run(folder, make(at))
    except MetricError as error:
        told = str(error).splitlines()
        assert len(told[0]) < 600 and sum(map(len, told)) < 3000
        assert asked() == at
        assert kept_in(folder) == at - 1  # all that was answered, and nothing else
        run(folder, make(None))
        return False
    return True


# --- programs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, int | None], Metric]:
    """A program that counts its calls; at call `at` it does as it is told first."""

    def make(bad: str, at: int | None) -> Metric:
        count, script, trouble = (tmp_path / name for name in ("count", "rate.sh", "trouble.sh"))
        # In a file of its own: a run is known by the words of its program, and another program would be another run.
        trouble.write_text(f'if [ "$(wc -l < "{count}")" = "{at}" ]; then\n{bad or ":"}\nfi\n')
        script.write_text(
            f'echo x >> "{count}"\n. "{trouble}"\n'
            "cksum < \"$1\" | { read sum rest; printf '0.%03d\\n' $((sum % 1000)); }\n"
        )
        return from_command(
            ["sh", str(script), "{file}"], name="program", higher_is_better=True, timeout=0.7, retries=0
        )

    return make


@pytest.fixture
def whole(tmp_path: Path, program: Callable[[str, int | None], Metric]) -> dict[str, Any]:
    run(tmp_path / "whole", program("", None))
    lines = (tmp_path / "count").read_text().splitlines()
    (tmp_path / "count").unlink()
    return {"result": left_in(tmp_path / "whole"), "calls": len(lines)}


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.parametrize("what", PROGRAMS)
def test_a_program_that_misbehaves(
    what: str, number: int, program: Any, whole: dict[str, Any], tmp_path: Path, tally: Tally
) -> None:
    bad, answers = PROGRAMS[what]
    count = tmp_path / "count"

    def asked() -> int:
        return len(count.read_text().splitlines())

    at = moment(what, number, whole["calls"])
    ended = goes_wrong_and_on(lambda when: program(bad, when), asked, tmp_path, at)
    assert ended == answers
    assert asked() == whole["calls"] + (not ended) and whole["calls"] <= BUDGET
    assert left_in(tmp_path / "run") == whole["result"]
    tally.add("a program misbehaves at one call of a run", tried=1, sound=int(ended))


@pytest.mark.parametrize("at", [1, 20, 40])
def test_a_program_that_changes_its_mind_is_not_asked_twice(at: int, program: Any, tmp_path: Path) -> None:
    """What it said before it was stopped holds, whatever it would say by now."""
    with pytest.raises(MetricError):
        run(tmp_path / "run", program("exit 1", at))
    before = (tmp_path / "run" / "answers.jsonl").read_bytes()
    script = tmp_path / "trouble.sh"
    other = program("", None)
    script.write_text("echo 0.123; exit 0\n")
    run(tmp_path / "run", other)
    kept = (tmp_path / "run" / "answers.jsonl").read_bytes()
    assert kept.startswith(before) and kept.count(b"\n") <= BUDGET
    calls = (tmp_path / "count").read_text()  # and a finished run is not asked about again
    run(tmp_path / "run", program("", None))
    assert (tmp_path / "count").read_text() == calls


# --- servers -------------------------------------------------------------------------------------------------------


class Server(HTTPServer):
    """Counts its calls; at call `at` it sends `bad`, or nothing at all for None."""

    def __init__(self) -> None:
        self.calls, self.at, self.bad = 0, -1, b""
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without a look-up of the machine's name
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request: Any, address: Any) -> None:
        pass  # clients hang up here


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls += 1
        if self.server.calls == self.server.at:
            if self.server.bad is None:
                self.server.over.wait(1.0)
            else:
                self.wfile.write(self.server.bad)
            return
        answer = f"0.{sum(body) % 1000:03d}".encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield one
        finally:
            one.over.set()
            one.shutdown()
            thread.join()


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.parametrize("what", SERVERS)
def test_a_server_that_misbehaves(what: str, number: int, server: Server, tmp_path: Path, tally: Tally) -> None:
    def make(at: int | None) -> Metric:
        server.at, server.bad = at or -1, SERVERS[what]
        url = f"http://127.0.0.1:{server.server_port}/rate"
        return from_url(url, name="server", higher_is_better=True, timeout=0.5, retries=0)

    run(tmp_path / "whole", make(None))
    calls, server.calls = server.calls, 0
    ended = goes_wrong_and_on(make, lambda: server.calls, tmp_path, moment(what, number, calls))
    assert not ended
    assert server.calls == calls + 1 and calls <= BUDGET
    assert left_in(tmp_path / "run") == left_in(tmp_path / "whole")
    tally.add("a server misbehaves at one call of a run", tried=1, sound=0)


# --- functions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_metric_that_answers_by_chance_is_never_believed(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    model, inputs, targets = tiny_data("binary", examples=120, seed=seed)
    asked = [0]

    def by_chance(scores: torch.Tensor, truth: torch.Tensor) -> float:
        asked[0] += 1
        return source.random()

    result = optimize(
        model,
        metric=Metric(by_chance, name="chance", higher_is_better=True),
        train=(inputs[:60], targets[:60]),
        val=(inputs[60:], targets[60:]),
        budget=100,
        dim=6,
        batch_size=16,
        quiet=True,
    )
    assert not result.accepted
    assert asked[0] == result.calls <= 100
