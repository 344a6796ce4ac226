"""The benchmark protocol: bounds, alternate timing, and a driver that fails where a figure falls short."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


figure = _load("figure")
driver = _load("run")


@pytest.mark.parametrize(
    ("value", "direction", "holds"),
    [
        (1.2, "at most", True),
        (1.3, "at most", True),
        (1.31, "at most", False),
        (1.2, "at least", False),
        (1.3, "at least", True),
        (math.inf, "at least", True),
        (math.nan, "at most", False),
        (math.nan, "at least", False),
    ],
)
def test_a_figure_knows_whether_it_keeps_its_bound(value: float, direction: str, holds: bool) -> None:
    made = figure.Figure("step", value, "x", 1.3, direction)
    assert made.holds is holds
    assert made.line().startswith("ok" if holds else "FAIL")
    assert f"{direction} 1.3 x" in made.line()


def test_a_direction_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="direction must be 'at most' or 'at least', got 'below'"):
        figure.Figure("step", 1.0, "x", 1.3, "below")


def test_alternate_swaps_the_order_and_returns_the_median_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only the calls move: side a takes 3 s, side b 1 s, and one pair is disturbed."""
    clock = [0.0]
    order: list[str] = []
    monkeypatch.setattr(figure.time, "perf_counter", lambda: clock[0])

    def a() -> None:
        order.append("a")
        clock[0] += 100.0 if len(order) == 3 else 3.0

    def b() -> None:
        order.append("b")
        clock[0] += 1.0

    assert figure.alternate(a, b, 5, warmup=1) == 3.0
    assert "".join(order) == "ab" + "ab" + "ba" + "ab" + "ba" + "ab"


def test_main_prints_and_writes_and_fails_on_a_miss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = figure.Figure("a", 1.0, "s", 2.0), figure.Figure("b", 3.0, "s", 2.0)
    report = tmp_path / "figures.json"
    assert figure.main(lambda: [good], ["--json", str(report)]) == 0
    assert [figure.Figure(**row) for row in json.loads(report.read_text())] == [good]
    assert figure.main(lambda: [good, bad], []) == 1
    assert figure.main(list, []) == 1
    assert capsys.readouterr().out.splitlines()[-1] == bad.line()


def _script(folder: Path, name: str, body: str) -> None:
    (folder / f"{name}.py").write_text(f"import sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\n{body}\n")


def _figures(value: float) -> str:
    return (
        "from figure import Figure, main\n"
        f"raise SystemExit(main(lambda: [Figure('speed', {value}, 'x', 2.0)], sys.argv[1:]))"
    )


def test_the_driver_passes_only_where_every_figure_keeps_its_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _script(tmp_path, "bench_fast", _figures(1.0))
    _script(tmp_path, "not_a_benchmark", "raise SystemExit('must not run')")
    assert driver.main([], tmp_path) == 0
    assert "ok   speed: 1 x (at most 2 x)" in capsys.readouterr().out
    _script(tmp_path, "bench_slow", _figures(9.0))
    _script(tmp_path, "bench_broken", "print('before'); raise RuntimeError('boom')")
    assert driver.main([], tmp_path) == 1
    out = capsys.readouterr().out
    assert "FAIL speed: 9 x (at most 2 x)" in out.partition("fell short:")[2]
    assert "bench_broken: no figures, exit code 1; it printed: before" in out
    assert driver.main(["fast"], tmp_path) == 0
    assert driver.main(["nothing"], tmp_path) == 1
    assert "there are: bench_broken, bench_fast, bench_slow" in capsys.readouterr().out


def test_every_benchmark_of_the_repository_follows_the_protocol() -> None:
    scripts = driver.find(BENCHMARKS, [])
    assert scripts
    for script in scripts:
        text = script.read_text()
        assert "def measure() -> list[Figure]:" in text, script.name
        assert "raise SystemExit(main(measure))" in text, script.name
