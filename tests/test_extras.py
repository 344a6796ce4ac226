from __future__ import annotations

import json
from pathlib import Path

import pytest

from metricopt._errors import MetricOptError, MissingExtra
from metricopt._extras import require


def test_a_package_that_is_there_is_returned() -> None:
    assert require("json", extra="bench", purpose="x") is json
    assert require("json.decoder", extra="bench", purpose="x") is json.decoder


def test_a_missing_package_names_the_extra_to_install() -> None:
    with pytest.raises(MissingExtra) as caught:
        require("absent_package.part", extra="bo", purpose="trust-region search")
    assert str(caught.value) == (
        "trust-region search needs the package 'absent_package', which is not installed. "
        "Install it with: pip install 'metricopt[bo]'"
    )
    assert (caught.value.package, caught.value.extra) == ("absent_package", "bo")
    assert isinstance(caught.value, MetricOptError)
    assert isinstance(caught.value, ImportError)


def test_a_package_that_is_there_but_broken_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_there.py").write_text("import not_there_either")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_either") as caught:
        require("half_there", extra="bo", purpose="x")
    assert not isinstance(caught.value, MissingExtra)
