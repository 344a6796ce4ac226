"""Metrics from a URL, without a server: addresses, options and proxies that cannot work, and what counts as an
answer."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metricopt._errors import ConfigError, MetricError
from metricopt.metrics import from_url
from metricopt.metrics.external.endpoint import json_number
from metricopt.metrics.external.route import route_to


def test_hosts_that_need_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert route_to("http://a.inside.example/").host == "a.inside.example"
    assert route_to("http://[::1]:80/").host == "::1"
    assert (route_to("http://outside.example/").host, route_to("http://outside.example/").port) == (
        "proxy.invalid",
        3128,
    )


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://:80", "http://a:b"])
def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(MetricError, match="names a proxy for http that is not http://HOST:PORT; correct http_proxy"):
        from_url("http://metric.invalid/", name="mine", higher_is_better=True)(torch.zeros(2), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.org/a", "must begin with http:// or https:// and a host, got 'ftp://example.org/a'"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("example.org/rate", "must begin with http:// or https://"),
        ("http:///rate", "must begin with http:// or https:// and a host"),
        ("http://exa mple.org/", "must begin with http:// or https:// and a host"),
        ("http://example.org:abc/?key=hidden", r"'http://example.org:abc/\?...' cannot be read: Port could not"),
        ("http://example.org:0/", "must begin with"),
        ("http://[::1/", "cannot be read"),
        ("http://me:hidden@example.org/", "with a user or a password in it would show.*headers="),
        ("http://me:hidden@example.org:abc/", r"'http://...@example.org:abc/' cannot be read"),
        (5, "url must be a string, got a int"),
    ],
)
def test_addresses_that_cannot_work(url: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_url(url, name="mine", higher_is_better=True)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": math.inf}, "timeout must be a positive finite number"),
        ({"retries": 1.5}, "retries must be an integer"),
        ({"backoff": -1}, "backoff must be a finite number of at least 0"),
        ({"sleep": 1.0}, "sleep must be a function of seconds, got a float"),
        ({"reads": "model"}, "'mine' is sent arrays and cannot read the model"),
        ({"headers": "A: hidden"}, "headers must be a mapping of names to strings, got a str"),
        ({"headers": {"A b": "hidden"}}, "a header needs a name of letters, digits and dashes, got 'A b'"),
        ({"headers": {"Key": "hidden\n"}}, "value of header 'Key' must be one line .*strip it"),
        ({"headers": {"Key": b"hidden"}}, "value of header 'Key' must be one line"),
        ({"headers": {"Key": "hidden ✓"}}, "value of header 'Key' must be one line of printable Latin-1"),
        ({"headers": {"Content-Length": "hidden"}}, "header 'Content-Length' follows from what is sent"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_url("http://localhost/", **{"name": "mine", "higher_is_better": True, **options})
    assert "hidden" not in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4))
def test_only_a_finite_number_is_one(value: Any) -> None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    for body in (json.dumps(value), json.dumps({"value": value})):
        found = json_number(body.encode())
        assert found == value if sound else isinstance(found, str)
