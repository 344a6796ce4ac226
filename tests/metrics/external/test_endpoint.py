"""Metrics from a URL: a real server that works, hangs, hangs up half-way, answers rubbish, drips, or is busy."""

from __future__ import annotations

import base64
import copy
import json
import math
import pickle
import signal
import socket
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
import torch

from metricopt._errors import MetricError
from metricopt.metrics import Metric, from_url
from metricopt.metrics.external.exchange import post
from metricopt.metrics.external.route import Route

SCORES, TARGETS = torch.tensor([2.0, -1.0, 3.0, -2.0]), torch.tensor([1, 0, 0, 0])
SECRET = "Bearer sk-very-secret-0123456789"

Answer = Callable[["Handler"], object]


@dataclass
class Request:
    path: str
    headers: Message
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Answers the i-th request in the i-th way, the last way for good."""

    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Request(self.path, self.headers, body))
        answers = self.server.answers
        answers[min(len(self.server.requests), len(answers)) - 1](self)

    def do_CONNECT(self) -> None:
        self.server.requests.append(Request(self.path, self.headers, b""))
        self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[Request] = []
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without a look-up of the machine's name
        self.server_name, self.server_port = self.server_address

    def handle_error(self, request: Any, address: Any) -> None:
        pass  # clients hang up here


def say(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def raw(text: bytes) -> Answer:
    return lambda handler: handler.wfile.write(text)


def hang(handler: Handler) -> None:
    handler.server.over.wait(60)


def drip(handler: Handler) -> None:
    """A byte now and then: never so late that a timeout of single reads would notice."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(2000):
        handler.wfile.write(b" ")
        if handler.server.over.wait(0.01):
            return
    handler.wfile.write(b"0.5")


@dataclass
class Asked:
    """A server and the metrics that ask it; pauses are noted and not made."""

    server: Server
    pauses: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/rate"

    def metric(self, *answers: Answer, url: str | None = None, **options: Any) -> Metric:
        self.server.answers = list(answers)
        options = {"name": "mine", "higher_is_better": True, "sleep": self.pauses.append, **options}
        return from_url(self.url if url is None else url, **options)

    @property
    def requests(self) -> list[Request]:
        return self.server.requests


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Asked(server)
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("body", [b"0.25", b' {"value": 0.25, "unit": "share"}\n', b"\xef\xbb\xbf0.25"])
def test_a_number_or_an_object_with_a_value(asked: Asked, body: bytes) -> None:
    assert asked.metric(say(200, body))(SCORES, TARGETS) == 0.25
    (request,) = asked.requests
    assert json.loads(request.body) == {"scores": [2.0, -1.0, 3.0, -2.0], "targets": [1, 0, 0, 0]}
    assert request.path == "/rate" and request.headers["Content-Type"] == "application/json"


def test_what_is_sent_is_what_the_metric_reads(asked: Asked) -> None:
    scores = torch.tensor([[1.0, 2.0, -3.0], [0.5, -1.0, 0.0]])
    asked.metric(say(201, b"1"), reads="labels")(scores, torch.tensor([1, 0]))
    asked.metric(say(200, b"1"), reads="probabilities")(scores.half(), torch.eye(2, 3).bool())
    labels, probabilities = (json.loads(request.body) for request in asked.requests)
    assert labels == {"scores": [1, 0], "targets": [1, 0]}
    assert np.array(probabilities["scores"]) == pytest.approx(scores.half().sigmoid().numpy())
    assert probabilities["targets"] == [[True, False, False], [False, True, False]]


def test_headers_are_sent_and_may_replace_our_own(asked: Asked) -> None:
    asked.metric(say(200, b"1"), headers={"Authorization": SECRET, "user-agent": "mine"})(SCORES, TARGETS)
    headers = asked.requests[0].headers
    assert headers["Authorization"] == SECRET and headers.get_all("User-Agent") == ["mine"]


def test_an_address_with_a_query_and_foreign_letters(asked: Asked) -> None:
    url = asked.url.replace("127.0.0.1", "localhost") + "/größe und%20so?key=ä&b=1#top"
    assert asked.metric(say(200, b"1"), url=url)(SCORES, TARGETS) == 1.0
    assert asked.requests[0].path == "/rate/gr%C3%B6%C3%9Fe%20und%20so?key=%C3%A4&b=1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "but the body is empty .*last lines of the answer: nothing"),
        (b"F1: 0.5", r"but the body is no JSON .*the answer:\s+F1: 0.5"),
        (b"\xff\xfe\xfa", "but the body is no JSON"),
        (b"NaN", "but the body is nan, which cannot be compared"),
        (b'{"value": -Infinity}', "but the body is -inf, which"),
        (b"1e999", "but the body is inf, which"),
        (b"1" + b"0" * 400, "but the body is inf, which"),
        (b"1" + b"0" * 9000, "but the body is no JSON"),
        (b"[" * 60_000, "but the body is no JSON"),
        (b"[0.5]", r"but the body is a list .*200 with a JSON number, or with \{\"value\": number\}"),
        (b'"0.5"', "but the body is text"),
        (b"true", "but the body is a truth value"),
        (b"null", "but the body is null"),
        (b'{"f1": 0.5}', "but the body is an object without 'value'"),
        (b'{"value": {"f1": 0.5}}', "but the body is an object under 'value'"),
        (b'{"value": null}', "but the body is null under 'value'"),
        (b" " * (1 << 16) + b"0.5", "and more than 65536 bytes"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else "",
)
def test_rubbish_is_quoted_and_not_asked_for_again(asked: Asked, body: bytes, message: str) -> None:
    with pytest.raises(MetricError, match=rf"(?s)^POST http://127.0.0.1:\d+/rate answered 200 OK.*{message}") as caught:
        asked.metric(say(200, body), retries=2)(SCORES, TARGETS)
    assert "attempt 1 of 3, the rest would end the same" in str(caught.value)
    assert len(asked.requests) == 1


def test_a_number_outside_the_bounds_is_refused(asked: Asked) -> None:
    with pytest.raises(MetricError, match="'mine' returned 7.0, outside its bounds"):
        asked.metric(say(200, b"7"))(SCORES, TARGETS)
    assert len(asked.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422])
def test_a_refusal_is_not_asked_for_again(asked: Asked, status: int) -> None:
    answer = say(status, "one\nkein Schlüssel ✓\n\x1b[2J".encode())
    with pytest.raises(
        MetricError, match=rf"(?s)answered {status} .*\(attempt 1 of 3, .*\n    kein Schlüssel ✓\n    \?\[2J"
    ):
        asked.metric(answer)(SCORES, TARGETS)
    assert len(asked.requests) == 1 and asked.pauses == []


@pytest.mark.parametrize(
    "first",
    [
        say(500, b"oops"),
        say(503),
        say(429),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n0.2"),  # half of 0.25 is a number as well
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0.2"),
        raw(b"rubbish\r\n\r\n"),
    ],
    ids=["500", "503", "429", "hangs up", "half a header", "half a number", "half a chunk", "no HTTP"],
)
def test_a_failure_that_passes_is_tried_again(asked: Asked, first: Answer) -> None:
    assert asked.metric(first, say(200, b"0.25"), retries=1)(SCORES, TARGETS) == 0.25
    assert asked.pauses == [0.5]
    assert len({request.body for request in asked.requests}) == 1 and len(asked.requests) == 2


def test_attempts_are_bounded_and_pauses_grow(asked: Asked) -> None:
    with pytest.raises(MetricError, match=r"answered 502 Bad Gateway \(attempt 4 of 4\)"):
        asked.metric(say(502), retries=3, backoff=0.2)(SCORES, TARGETS)
    assert asked.pauses == pytest.approx([0.2, 0.4, 0.8])


def test_a_server_may_say_when_to_come_back_within_reason(asked: Asked) -> None:
    answers = [say(429, headers={"Retry-After": text}) for text in ("7", "86400", "tomorrow")]
    assert asked.metric(*answers, say(200, b"1"), retries=3)(SCORES, TARGETS) == 1.0
    assert asked.pauses == [7.0, 60.0, 2.0]


def test_nobody_there(asked: Asked) -> None:
    with socket.socket() as bound:  # bound and not listening: nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(
            MetricError, match=r"failed: ConnectionRefusedError: .*\(attempt 3 of 3\); see that the server"
        ):
            asked.metric(url=url)(SCORES, TARGETS)
    assert asked.pauses == [0.5, 1.0]


def test_a_server_without_tls(asked: Asked) -> None:
    with pytest.raises(MetricError, match="failed: SSLError"):
        asked.metric(say(200, b"1"), url=asked.url.replace("http:", "https:"), retries=0)(SCORES, TARGETS)


@pytest.mark.parametrize("answer", [hang, drip])
def test_the_deadline_is_for_the_whole_answer(asked: Asked, answer: Answer) -> None:
    with pytest.raises(MetricError, match=r"gave no whole answer within 0.2 s \(attempt 2 of 2\); .*timeout="):
        asked.metric(answer, timeout=0.2, retries=1)(SCORES, TARGETS)


def test_the_deadline_holds_for_a_server_that_does_not_read(asked: Asked) -> None:
    scores = torch.zeros(2_000_000)  # more than the buffers of both sides take
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        metric = asked.metric(url=f"http://127.0.0.1:{deaf.getsockname()[1]}/", timeout=0.2, retries=0)
        with pytest.raises(MetricError, match="gave no whole answer within 0.2 s"):
            metric(scores, scores.int())


def test_the_deadline_holds_for_a_name_that_is_looked_up_for_ever(asked: Asked, monkeypatch) -> None:
    over = threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        over.wait(60)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(MetricError, match="gave no whole answer within 0.1 s"):
        asked.metric(url="http://metric.invalid/", timeout=0.1, retries=0)(SCORES, TARGETS)
    over.set()


def test_when_nobody_waits_any_more_nothing_is_sent(asked: Asked, monkeypatch) -> None:
    """The look-up ends after the deadline: the scores stay at home."""
    over, entered, look_up, threads = threading.Event(), threading.Event(), socket.getaddrinfo, []

    def slow(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        entered.set()
        over.wait(60)
        return look_up(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(MetricError, match="gave no whole answer"):
        asked.metric(say(200, b"1"), timeout=0.1, retries=0)(SCORES, TARGETS)
    assert entered.wait(60)
    over.set()
    threads[0].join(60)
    assert not threads[0].is_alive() and asked.requests == []


def test_what_a_server_says_before_it_has_read_everything_is_heard(asked: Asked) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(b"HTTP/1.1 413 Too Much\r\nContent-Length: 9\r\n\r\nat most 5")

        thread = threading.Thread(target=refuse)
        thread.start()
        scores = torch.zeros(1_000_000)
        metric = asked.metric(url=f"http://127.0.0.1:{server.getsockname()[1]}/", retries=0)
        with pytest.raises(MetricError, match=r"(?s)answered 413 Too Much .*at most 5"):
            metric(scores, scores.int())
        thread.join()


@pytest.mark.parametrize("moment", ["while it waits", "while it begins"])
def test_ctrl_c_hangs_up_and_goes_on_upwards(asked: Asked, monkeypatch, moment: str) -> None:
    hung_up, reached = threading.Event(), threading.Event()
    begin = threading.Thread.start

    def begin_slowly(thread: threading.Thread) -> None:
        begin(thread)
        if thread.name == "metricopt-post":
            reached.wait(60)
            raise KeyboardInterrupt

    if moment == "while it begins":
        monkeypatch.setattr(threading.Thread, "start", begin_slowly)

    def interrupted(handler: Handler) -> None:
        if moment == "while it waits":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        reached.set()
        handler.connection.settimeout(60)
        if handler.connection.recv(1) == b"":
            hung_up.set()

    with pytest.raises(KeyboardInterrupt):
        asked.metric(interrupted, timeout=1000.0)(SCORES, TARGETS)
    assert hung_up.wait(60) and len(asked.requests) == 1


@pytest.mark.parametrize("place", ["https://example.org/new?key=1", "/other", "ftp://example.org/"])
def test_redirects_are_shown_and_not_followed(asked: Asked, place: str) -> None:
    shown = place.partition("?")[0]
    with pytest.raises(MetricError, match=rf"answered 307 Temporary Redirect, a redirect to {shown}.*are not followed"):
        asked.metric(say(307, headers={"Location": place}))(SCORES, TARGETS)
    assert len(asked.requests) == 1


def test_keys_are_never_shown(asked: Asked) -> None:
    key = SECRET.split()[1]

    def repeat(handler: Handler) -> None:
        say(400, f"{handler.headers['Authorization']}\ntoken '{key}' is unknown".encode())(handler)

    def in_the_first_line(handler: Handler) -> None:
        handler.wfile.write(f"{key}\r\n\r\n".encode())

    for answer in (repeat, in_the_first_line, say(500), say(200, b"NaN"), say(302, headers={"Location": f"/{key}"})):
        url = asked.url + "?key=query-secret"
        metric = asked.metric(answer, url=url, headers={"Authorization": SECRET}, retries=0)
        with pytest.raises(MetricError) as caught:
            metric(SCORES, TARGETS)
        for text in (str(caught.value), repr(metric), "".join(traceback.format_exception(caught.value))):
            assert key not in text and "query-secret" not in text
        asked.server.requests.clear()
    assert "Authorization=..." in repr(metric)


def test_infinite_scores_do_not_fit_into_json(asked: Asked) -> None:
    metric = asked.metric(say(200, b"1"))
    with pytest.raises(MetricError, match="1 of 4 scores are infinite or NaN, which JSON cannot hold; read"):
        metric(torch.tensor([1.0, math.inf, 0.0, 2.0]), TARGETS)
    with pytest.raises(MetricError, match="2 of 4 targets are infinite or NaN"):
        metric(SCORES, torch.tensor([1.0, math.nan, math.nan, 0.0]))
    assert asked.requests == []


# --- proxies ------------------------------------------------------------------------------------------


def test_the_proxy_of_the_environment_is_used_for_the_world_and_not_for_this_machine(asked: Asked, monkeypatch) -> None:
    dead = "http://127.0.0.1:1"
    monkeypatch.setenv("http_proxy", dead)
    assert asked.metric(say(200, b"1"), retries=0)(SCORES, TARGETS) == 1.0
    monkeypatch.setenv("http_proxy", asked.url.replace("http://", "http://me:pass%21word@"))
    metric = asked.metric(say(200, b"0.5"), url="http://metric.invalid:81/rate?b=1")
    assert metric(SCORES, TARGETS) == 0.5
    request = asked.requests[-1]
    assert request.path == "http://metric.invalid:81/rate?b=1" and request.headers["Host"] == "metric.invalid:81"
    login = request.headers["Proxy-Authorization"].removeprefix("Basic ")
    assert base64.b64decode(login) == b"me:pass!word"


def test_a_secure_address_is_tunnelled(asked: Asked, monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{asked.server.server_port}")
    with pytest.raises(MetricError, match="failed: OSError: Tunnel connection failed: 403"):
        asked.metric(url="https://metric.invalid/rate", retries=0, headers={"Authorization": SECRET})(SCORES, TARGETS)
    (request,) = asked.requests
    assert request.path == "metric.invalid:443" and "Authorization" not in request.headers


def test_the_login_of_a_proxy_is_for_the_proxy_alone(asked: Asked, monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:word@127.0.0.1:{asked.server.server_port}")
    sent = []

    def look(route: Route, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Any:
        sent.append(headers)
        return post(route, body, headers, timeout=timeout)

    monkeypatch.setattr("metricopt.metrics.external.endpoint.post", look)
    with pytest.raises(MetricError, match="Tunnel connection failed"):
        asked.metric(url="https://metric.invalid/rate", retries=0)(SCORES, TARGETS)
    assert "Proxy-Authorization" in asked.requests[0].headers
    assert sent and "Proxy-Authorization" not in sent[0]


def test_a_metric_travels_to_a_worker(asked: Asked) -> None:
    metric = from_url(asked.url, name="mine", higher_is_better=True, headers={"Authorization": SECRET})
    asked.server.answers = [say(200, b"0.5")]
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert twin == metric and hash(twin) == hash(metric)
        assert twin(SCORES, TARGETS) == 0.5
    assert asked.requests[-1].headers["Authorization"] == SECRET
