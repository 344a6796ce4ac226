"""Metrics behind a server or a program: a key from the environment, time-outs, retries, calls side by side."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metricopt.cli.app import app
from people import people

COMMAND = ("optimize", "people.csv", "--target", "income", "--calls", "70", "--json", "--maximize", "--metric")


class Server(ThreadingHTTPServer):
    """Rates accuracy, but only who knows the key; `most` is how many it answered at the same moment."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.inside = self.most = self.answered = 0
        self.lock = threading.Lock()
        self.meet = threading.Barrier(2)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("X-Key") != "opensesame":
            self.send_error(403)
            return
        with self.server.lock:
            self.server.inside += 1
            self.server.most = max(self.server.most, self.server.inside)
            self.server.answered += 1
        if self.server.most < 2:
            try:
                self.server.meet.wait(0.2)  # two at once meet here; one alone goes on
            except threading.BrokenBarrierError:
                self.server.meet.reset()
        right = [(score > 0) == bool(target) for score, target in zip(asked["scores"], asked["targets"], strict=True)]
        answer = json.dumps({"value": sum(right) / len(right)}).encode()
        with self.server.lock:
            self.server.inside -= 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Silence."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    people(tmp_path / "people.csv", rows=600)
    monkeypatch.chdir(tmp_path)
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield one
        one.shutdown()


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_a_key_comes_from_the_environment_and_calls_run_side_by_side(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/rate"
    refused = run(*COMMAND, url)
    assert refused.exit_code == 4 and "403" in refused.stderr
    missing = run(*COMMAND, url, "--metric-header", "X-Key=METRICOPT_TEST_KEY")
    assert missing.exit_code == 2 and "no environment variable 'METRICOPT_TEST_KEY'" in missing.stderr
    monkeypatch.setenv("METRICOPT_TEST_KEY", "opensesame")
    result = run(*COMMAND, url, "--metric-header", "X-Key=METRICOPT_TEST_KEY", "--workers", "2", "--run", "run")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert server.most >= 2 and server.answered == found["calls"] + found["test_calls"] + 1  # it is tried once before
    kept = b"".join(path.read_bytes() for path in Path("run").rglob("*") if path.is_file())
    assert b"opensesame" not in kept and b"opensesame" not in result.output.encode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["f1", "--metric-timeout", "5"], "--metric-timeout is for a URL or a command, not for 'f1'"),
        (["f1", "--metric-header", "A=B"], "environment variable 'B'"),
        (["cmd:true", "--metric-header", "A=PATH"], "--metric-header is for a URL, not for"),
        (["http://localhost:1/", "--metric-header", "A: secret"], "must look like Authorization=MY_TOKEN"),
        (["http://localhost:1/", "--metric-timeout", "-1"], "timeout must be"),
        (["f1", "--workers", "2"], "--workers makes calls of a command or a URL"),
    ],
)
def test_what_does_not_go_with_the_metric_is_refused(server: Server, arguments: list[str], told: str) -> None:
    result = run(*COMMAND, *arguments)
    assert result.exit_code == 2 and told in result.stderr and "secret" not in result.stderr
