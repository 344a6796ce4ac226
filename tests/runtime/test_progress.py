from __future__ import annotations

import io
import sys

import pytest

from metricopt._errors import ConfigError
from metricopt.runtime import progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _three_steps(**options: object) -> None:
    with progress(3, "seeds", **options) as advance:  # type: ignore[arg-type]
        for seed in range(3):
            advance(note=f"seed {seed}")


def test_a_terminal_gets_a_bar_with_counts_time_and_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = _Terminal()
    _three_steps(stream=out)
    text = out.getvalue()
    for part in ("seeds", "3/3", "left", "0:00:00", "seed 2"):
        assert part in text


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (_Terminal(), True)])
def test_nothing_is_drawn_where_nobody_watches(stream: io.StringIO, quiet: bool) -> None:
    _three_steps(stream=stream, quiet=quiet)
    assert stream.getvalue() == ""


def test_the_default_is_standard_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _three_steps()
    assert capsys.readouterr() == ("", "")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    _three_steps()
    assert "seeds" in terminal.getvalue()


def test_an_error_inside_passes_through() -> None:
    with pytest.raises(RuntimeError, match="boom"), progress(1, "x", stream=_Terminal()):
        raise RuntimeError("boom")


def test_a_negative_total_is_refused() -> None:
    with pytest.raises(ConfigError, match="total must be an integer of at least 0, got -1"), progress(-1, "x"):
        pass
