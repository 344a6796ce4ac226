"""One HTTP request and its answer under one deadline, whatever the server does in between."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from time import monotonic
from typing import final

from .route import Route

#: An answer holds one number and perhaps the words of an error.
MOST_BYTES = 1 << 16


@final
@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server said. `cut` is True where the body was longer than `MOST_BYTES`; the rest was not read."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    cut: bool


def post(route: Route, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Answer:
    """POST `body` and read the answer. Redirects are not followed.

    Raises:
        TimeoutError: it was not all there after `timeout` seconds, counted from the look-up of the name on.
        OSError, http.client.HTTPException: the connection failed, or what came back was not HTTP.
    """
    exchange = _Exchange(route, body, headers, timeout)
    return exchange.result()


@final
class _Exchange:
    """Runs in a thread of its own, which is the only way to leave a name look-up, a TLS handshake or a trickle of
    bytes in time: the timeout of a socket counts anew for every byte."""

    def __init__(self, route: Route, body: bytes, headers: Mapping[str, str], timeout: float) -> None:
        self._route = route
        self._body = body
        self._headers = headers
        self._deadline = monotonic() + timeout
        self._timeout = timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._left = False
        self._over = threading.Event()
        self._answer: Answer | None = None
        self._error: Exception | None = None

    def result(self) -> Answer:
        try:
            threading.Thread(target=self._run, name="metricopt-post", daemon=True).start()
            in_time = self._over.wait(max(self._deadline - monotonic(), 0.0))
        finally:  # Ctrl-C comes this way too
            self._leave()
        if not in_time:
            raise TimeoutError(f"no answer within {self._timeout:g} s")
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def _leave(self) -> None:
        """Nobody waits any more: a blocked read or write of the thread ends, and nothing new is sent."""
        with self._lock:
            self._left = True
            if self._socket is not None:
                with suppress(OSError):  # it is closed already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            connection = self._route.connection(self._timeout)
            try:
                self._answer = self._talk(connection)
            finally:
                connection.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again in the thread that waits
            self._error = error
        finally:
            self._over.set()

    def _talk(self, connection: HTTPConnection) -> Answer | None:
        connection.connect()
        with self._lock:
            if self._left:
                return None
            # A reference of our own: the connection forgets its socket as soon as an answer has begun.
            self._socket = connection.sock
        with suppress(BrokenPipeError, ConnectionResetError):
            # A server may refuse what it has not read to its end. What it says is the better error, if it says a thing.
            connection.request("POST", self._route.target, body=self._body, headers=dict(self._headers))
        with connection.getresponse() as response:
            return _read(response)


def _read(response: HTTPResponse) -> Answer:
    body = response.read(MOST_BYTES + 1)
    if len(body) <= MOST_BYTES and response.length:
        raise IncompleteRead(body, response.length)  # read(n) itself takes a shorter body for the whole
    return Answer(
        status=response.status,
        reason=response.reason,
        headers={name.lower(): value for name, value in response.getheaders()},
        body=body[:MOST_BYTES],
        cut=len(body) > MOST_BYTES,
    )
