"""`metricopt report` and `metricopt predict`: what can be done with a finished run, and the demo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from metricopt.cli import app, demo
from people import people


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a finished run."""
    home = tmp_path_factory.mktemp("finished")
    options = ["--target", "income", "--metric", "f1", "--drop", "pay", "--method", "threshold", "--calls", "70"]
    done = invoke("optimize", people(home / "people.csv"), *options, "--run", home / "run", "--quiet")
    assert done.exit_code == 0, done.output
    return home


def test_a_report_is_written_anew(folder: Path, tmp_path: Path) -> None:
    done = invoke("report", folder / "run", "--out", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert "f1 of 'income'" in done.stdout
    assert done.stdout.rstrip().endswith("page.html")
    page = (tmp_path / "page.html").read_text()
    assert "120 that nobody saw before" in page
    assert "On 120 test rows that nobody chose by" in page
    assert page == (folder / "run" / "report.html").read_text()


def test_a_report_of_the_search_alone(folder: Path, tmp_path: Path) -> None:
    done = invoke("report", folder / "run" / "search", "--out", tmp_path / "page.html", "--json")
    whole = invoke("report", folder / "run", "--out", tmp_path / "page.html", "--json")
    found, wanted = json.loads(done.stdout), json.loads(whole.stdout)
    assert found["acceptance"]["after"] == wanted["acceptance"]["after"]
    assert (found["test"], wanted["test"]["rows"]) == (None, 120)


def test_predictions_are_printed_or_written(folder: Path, tmp_path: Path) -> None:
    printed = invoke("predict", folder / "run", folder / "people.csv")
    assert printed.exit_code == 0, printed.output
    header, *rows = printed.stdout.splitlines()
    assert header == "income,probability of high,probability of low"
    assert len(rows) == 600
    written = invoke("predict", folder / "run", folder / "people.csv", "--out", tmp_path / "out.csv")
    assert (written.exit_code, written.stdout) == (0, "")
    assert "600 predictions are in" in written.stderr
    assert (tmp_path / "out.csv").read_text() == printed.stdout


@pytest.mark.parametrize("command", ["report", "predict"])
def test_what_is_no_finished_run_is_told(folder: Path, tmp_path: Path, command: str) -> None:
    more = [folder / "people.csv"] if command == "predict" else []
    unfinished = tmp_path / "unfinished"
    shutil.copytree(folder / "run", unfinished)
    (unfinished / "summary.json").unlink()
    damaged = tmp_path / "damaged"
    shutil.copytree(folder / "run", damaged)
    text = (damaged / "summary.json").read_text()
    (damaged / "summary.json").write_text(text.replace('"calls"', '"cells"'))
    for where, complaint in (
        (tmp_path / "none", "there is no run folder"),
        (folder, "is no run folder"),
        (unfinished, "holds no finished job"),
        (damaged, "does not match its digest"),
    ):
        done = invoke(command, where, *more)
        assert done.exit_code == 2
        assert complaint in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_the_demo_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(demo._SETTINGS, "calls", 70)
    first = invoke("demo")
    assert first.exit_code == 0, first.output
    lines = first.stdout.rstrip().splitlines()
    assert lines[-1] == f"Open this in a browser: {tmp_path / 'metricopt-demo' / 'run' / 'report.html'}"
    assert "digits were read too high before" in first.stdout
    assert "test, 445 rows" in first.stdout
    command = next(line for line in lines if line.startswith("    metricopt "))
    again = invoke(*command.split()[1:], "--json")
    assert json.loads(again.stdout)["again"] is True, "the command that is shown is not the one that ran"
    assert json.loads(invoke("demo", "--json").stdout)["metric"] == "cost_of_misreading"
    monkeypatch.setitem(demo._SETTINGS, "calls", 72)  # as if another version had left the run there
    other = invoke("demo")
    assert other.exit_code == 0
    last = tmp_path / "metricopt-demo" / "run-2" / "report.html"
    assert other.stdout.strip().splitlines()[-1] == f"Open this in a browser: {last}"
    assert last.is_file()
