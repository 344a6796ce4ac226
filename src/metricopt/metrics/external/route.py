"""The way to a URL: which machine is connected to, what it is asked for, and whether a proxy stands between."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from typing import final
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..._errors import ConfigError, MetricError

#: Characters that may stand in a target as they are; others are sent as %XX.
_SAFE = "!#$%&'()*+,/:;=?@[]~"


@final
@dataclass(frozen=True, kw_only=True)
class Route:
    """Where to connect to (`host`, `port`), and the `target` to name there. `tunnel` is the server behind a proxy."""

    secure: bool
    host: str
    port: int
    target: str
    tunnel: tuple[str, int] | None = None
    #: For the proxy; its password may be in here.
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def connection(self, timeout: float) -> HTTPConnection:
        """An unopened connection whose single waits end after `timeout` seconds."""
        if not self.secure:
            return HTTPConnection(self.host, self.port, timeout=timeout)
        connection = HTTPSConnection(self.host, self.port, timeout=timeout)
        if self.tunnel is not None:
            connection.set_tunnel(*self.tunnel, headers=self.headers)
        return connection


def checked_url(url: str) -> SplitResult:
    """The parts of a http or https URL that names a host and no password; raises ConfigError for others.

    >>> checked_url("http://localhost:8000/rate").port
    8000
    """
    if not isinstance(url, str):
        raise ConfigError(f"url must be a string, got a {type(url).__name__}")
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:  # a port that is no number, a bracket without its partner
        raise ConfigError(f"url {without_query(url)!r} cannot be read: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "a url with a user or a password in it would show in messages; leave them out, and pass "
            'headers={"Authorization": ...}'
        )
    if not usable or not parts.netloc.isprintable() or " " in parts.netloc:
        raise ConfigError(f"url must begin with http:// or https:// and a host, got {without_query(url)!r}")
    return parts


def without_query(url: str) -> str:
    """A URL as it may be shown: without what may hold a key or a password.

    >>> without_query("https://example.org/rate?key=12345#top")
    'https://example.org/rate?...'
    """
    path, mark, _ = url.partition("#")[0].partition("?")
    return re.sub("(?<=//)[^/]*@", "...@", path) + (mark and "?...")


def route_to(url: str) -> Route:
    """The way to `url`, by the proxy that the environment names for it. This machine is never behind a proxy.

    Raises:
        MetricError: the environment names a proxy that cannot be used.
    """
    parts = checked_url(url)
    secure, host = parts.scheme == "https", str(parts.hostname)
    port = parts.port or (443 if secure else 80)
    target = quote(parts.path or "/", safe=_SAFE) + ("?" + quote(parts.query, safe=_SAFE) if parts.query else "")
    proxy = getproxies().get(parts.scheme)
    if not proxy or is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return Route(secure=secure, host=host, port=port, target=target)
    proxy_host, proxy_port, headers = _proxy(proxy, parts.scheme)
    if secure:
        return Route(secure=True, host=proxy_host, port=proxy_port, target=target, tunnel=(host, port), headers=headers)
    whole = f"http://{parts.netloc}{target}"
    return Route(secure=False, host=proxy_host, port=proxy_port, target=whole, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether a host name is this machine by its looks; nothing is resolved.

    >>> is_loopback("localhost"), is_loopback("127.8.0.1"), is_loopback("::1"), is_loopback("example.org")
    (True, True, True, False)
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _proxy(proxy: str, scheme: str) -> tuple[str, int, dict[str, str]]:
    """Host, port and headers of a proxy."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        raise MetricError(
            f"the environment names a proxy for {scheme} that is not http://HOST:PORT; correct {scheme}_proxy, "
            "or name the host of the metric in no_proxy"
        )
    if parts.username is None:
        return host, port, {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return host, port, {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
