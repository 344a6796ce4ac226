"""A metric that a server computes: it is sent JSON and answers with one number."""

from __future__ import annotations

import json
import math
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, final

from ..._checks import at_least, not_negative, positive
from ..._errors import ConfigError
from ..._types import Reads
from ..metric import Metric
from .attempts import AttemptFailed, in_attempts
from .exchange import MOST_BYTES, Answer, post
from .payload import check_sent, to_arrays, to_json
from .route import checked_url, route_to, without_query
from .tail import printable

#: The longest pause between two attempts, also where the server asks for a longer one, in seconds.
MOST_PAUSE = 60.0

_OWN_HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "metricopt"}
#: Set by what is sent, so that they cannot be chosen.
_FIXED_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: A word of a header at least this long may be a key; shorter ones ("Bearer") are ordinary text.
_KEY_LENGTH = 7

_TODO = 'it must answer 200 with a JSON number, or with {"value": number}'


@final
@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Asks a server, see `from_url`. Its representation and its errors show neither headers nor the query."""

    url: str
    timeout: float = 30.0
    retries: int = 2
    backoff: float = 0.5
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", checked_url(self.url).geturl())
        object.__setattr__(self, "headers", _checked_headers(self.headers))
        positive("timeout", self.timeout)
        at_least("retries", self.retries, 0)
        not_negative("backoff", self.backoff)
        if not callable(self.sleep):
            raise ConfigError(f"sleep must be a function of seconds, got a {type(self.sleep).__name__}")

    def __repr__(self) -> str:
        names = ", ".join(f"{name}=..." for name in self.headers)
        return (
            f"Endpoint(url={without_query(self.url)!r}, timeout={self.timeout!r}, retries={self.retries!r}, "
            f"backoff={self.backoff!r}, headers=({names}))"
        )

    def __call__(self, scores: Any, targets: Any) -> float:
        """The number that the server answers to these scores and targets; raises MetricError if it answers none."""
        body = to_json(to_arrays(scores, targets))
        asked = f"POST {printable(without_query(self.url))}"
        return in_attempts(lambda: self._once(body), asked=asked, retries=self.retries, before_next=self._pause)

    def _once(self, body: bytes) -> float:
        route = route_to(self.url)
        own = {name: value for name, value in _OWN_HEADERS.items() if name.lower() not in map(str.lower, self.headers)}
        proxy = {} if route.tunnel is not None else route.headers
        try:
            answer = post(route, body, {**own, **self.headers, **proxy}, timeout=self.timeout)
        except TimeoutError as error:
            todo = "make it faster, or give it more time with timeout="
            raise AttemptFailed(f"gave no whole answer within {self.timeout:g} s", todo=todo, again=True) from error
        except (OSError, HTTPException) as error:
            passing = not isinstance(error, ssl.SSLCertVerificationError)
            why = f"failed: {type(error).__name__}: {self._shown(str(error))}"
            todo = "see that the server runs and that the address is right"
            # Not chained: such an error may quote what the server repeated of the headers.
            raise AttemptFailed(why, todo=todo, again=passing) from None
        return self._number(answer)

    def _number(self, answer: Answer) -> float:
        said = {"the answer": self._without_keys(answer.body.decode("utf-8", errors="replace"))}
        status = f"answered {answer.status} {self._shown(answer.reason)}".rstrip()
        if 300 <= answer.status < 400:
            place = self._shown(without_query(answer.headers.get("location", "nowhere")))
            todo = (
                "redirects are not followed, since scores and headers would go along; give the address that you trust"
            )
            raise AttemptFailed(f"{status}, a redirect to {place}", todo=todo, again=False, said=said)
        if not 200 <= answer.status < 300:
            again = answer.status == 429 or answer.status >= 500
            wait = _seconds(answer.headers.get("retry-after", ""))
            raise AttemptFailed(status, todo=_TODO, again=again, said=said, wait=wait)
        if answer.cut:
            raise AttemptFailed(f"{status} and more than {MOST_BYTES} bytes", todo=_TODO, again=False, said=said)
        number = json_number(answer.body)
        if isinstance(number, str):
            # To http.client, headers that break off are all there were; the body is empty then.
            broken_off = not answer.body and "content-length" not in answer.headers
            raise AttemptFailed(f"{status}, but the body is {number}", todo=_TODO, again=broken_off, said=said)
        return number

    def _pause(self, attempt: int, failure: AttemptFailed) -> None:
        doubled = self.backoff * 2 ** min(attempt - 1, 16)
        self.sleep(min(max(doubled, failure.wait), MOST_PAUSE))

    def _shown(self, text: str) -> str:
        return printable(self._without_keys(text))

    def _without_keys(self, text: str) -> str:
        """What came from outside without the values of our headers: some servers repeat what they were sent."""
        values = [word for value in self.headers.values() for word in (value, *value.split())]
        for value in sorted({v for v in values if len(v) >= _KEY_LENGTH}, key=len, reverse=True):
            text = text.replace(value, "...")
        return text


def from_url(
    url: str,
    *,
    name: str,
    higher_is_better: bool,
    bounds: tuple[float, float] = (0.0, 1.0),
    reads: Reads = "scores",
    timeout: float = 30.0,
    retries: int = 2,
    backoff: float = 0.5,
    headers: Mapping[str, str] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Metric:
    """A metric that a server computes.

    The server gets a POST of `{"scores": [...], "targets": [...]}`: `scores` is what `reads` says, `targets` is what
    they are rated against, for binary problems both flat. It answers 200 and a JSON number, or an object
    `{"value": number}`, whose other keys do not matter. An answer without Content-Length that is a bare number cannot
    be told from half of one, so a server that does not state the length should answer with the object.

    A failed connection, a time-out, the statuses 429 and 5xx may pass, so the server is asked again, at most `retries`
    times, after `backoff`, 2 `backoff`, 4 `backoff` ... seconds, or after what its Retry-After says, at most 60 s.
    Other statuses and other answers fail at once. However many attempts it takes, it is one metric call.

    Redirects are not followed. The proxies of the environment are used as by other programs, except for this machine
    (localhost, 127.0.0.1, ::1), which no proxy reaches.

    Args:
        url: http or https; without user and password, which belong into `headers`.
        name: for tables and messages.
        higher_is_better: its direction; there is no default.
        bounds: the finite range of its numbers.
        reads: "scores", "probabilities" or "labels". JSON has no infinity, so infinite scores are an error.
        timeout: seconds for one attempt as a whole, from the look-up of the name to the last byte.
        retries: attempts after the first one.
        backoff: seconds before the second attempt.
        headers: for example `{"Authorization": "Bearer ..."}`. Their values are never shown.
        sleep: how the pauses are made.

    Raises:
        ConfigError: an argument cannot work.
        MetricError: (when called) no attempt gave a number. The message has the status, the number of attempts and
            the last lines of the answer.

    >>> metric = from_url("http://localhost:8000/rate?key=123", name="rated", higher_is_better=True)
    >>> metric.fn
    Endpoint(url='http://localhost:8000/rate?...', timeout=30.0, retries=2, backoff=0.5, headers=())
    """
    check_sent(name, reads)
    asked = Endpoint(
        url=url,
        timeout=timeout,
        retries=retries,
        backoff=backoff,
        headers={} if headers is None else headers,
        sleep=sleep,
    )
    return Metric(asked, name=name, higher_is_better=higher_is_better, bounds=bounds, reads=reads)


def json_number(body: bytes) -> float | str:
    """The finite number in a JSON text, or words that say what it is instead.

    >>> json_number(b"0.5"), json_number(b'{"value": 1, "unit": "share"}'), json_number(b"[0.5]")
    (0.5, 1.0, 'a list')
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "no JSON" if body.strip() else "empty"
    inside = isinstance(value, dict)
    if inside:
        if "value" not in value:
            return "an object without 'value'"
        value = value["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}.get(type(value), "null")
        return f"{kind} under 'value'" if inside else kind
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else f"{number}, which cannot be compared"


def _checked_headers(headers: object) -> dict[str, str]:
    """Headers that can be sent; the messages name them and keep their values."""
    if not isinstance(headers, Mapping):
        raise ConfigError(f"headers must be a mapping of names to strings, got a {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigError(f"a header needs a name of letters, digits and dashes, got {name!r}")
        if name.lower() in _FIXED_HEADERS:
            raise ConfigError(f"header {name!r} follows from what is sent; leave it out")
        if not isinstance(value, str) or not value.isprintable() or any(ord(c) > 255 for c in value):
            raise ConfigError(
                f"the value of header {name!r} must be one line of printable Latin-1 text (a key read from a file may "
                "end in a line break: strip it)"
            )
    return dict(headers)


def _seconds(text: str) -> float:
    """The Retry-After of an answer; 0 where it is missing or a date.

    >>> _seconds("2"), _seconds("Wed, 21 Oct 2026 07:28:00 GMT"), _seconds("")
    (2.0, 0.0, 0.0)
    """
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0.0
