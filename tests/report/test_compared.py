"""Several runs on one page, and the numbers behind every picture as a CSV."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from metricopt.cli import app
from metricopt.report import Confusion, compare, render
from metricopt.report.figure import MOST_NUMBERS, Numbers
from people import people
from report.reports import binary, rejected, seven_classes


def _tables(page: str) -> dict[str, list[list[str]]]:
    """The CSVs of a page by the key of their figure."""
    found = re.findall(r'download="metricopt-([\w-]+)\.csv" href="data:text/csv;charset=utf-8,([^"]*)"', page)
    return {key: list(csv.reader(io.StringIO(unquote(html.unescape(text))))) for key, text in found}


def test_every_picture_links_its_numbers() -> None:
    data = binary()
    page = render(data)
    tables = _tables(page)
    pictures = set(re.findall(r'<figure class="card" id="([\w-]+)"', page))
    assert pictures == set(tables)
    assert data.confusion is not None
    assert tables["confusion"][1][2:] == [str(data.confusion.before[0][0]), str(data.confusion.after[0][0])]
    assert len(tables["predictions"]) == 1 + len(data.predictions)
    calls = [row for row in tables["anytime"][1:] if row[0] == data.stages[0].title]
    assert len(tables["anytime"]) == 1 + min(MOST_NUMBERS, sum(len(stage.observed) for stage in data.stages))
    observed, best = data.stages[0].observed, data.best_so_far(data.stages[0].observed)
    for _, call, value, so_far in calls:
        assert float(value) == pytest.approx(observed[int(call) - 1], rel=1e-6)
        assert float(so_far) == pytest.approx(best[int(call) - 1], rel=1e-6)


def test_a_label_that_looks_like_a_formula_is_none_in_a_spreadsheet() -> None:
    counts = ((1, 2), (3, 4))
    evil = Confusion(labels=("=HYPERLINK(1)", 'a,"b"\n'), before=counts, after=((2, 1), (3, 4)))
    rows = _tables(render(replace(binary(), confusion=evil)))["confusion"]
    assert rows[1][0] == "'=HYPERLINK(1)" and all(len(row) == 4 for row in rows)
    assert "-1.5" in unquote(Numbers(("x",), [(-1.5,)]).link)  # a number stays one


def test_runs_of_several_metrics_on_one_page() -> None:
    runs = {
        "runs/<one>": binary(),
        "runs/two": replace(binary(), calls=99),
        "three": rejected(),
        "four": seven_classes(),
    }
    page = compare(runs)
    assert "4 runs compared" in page and "<one>" not in page
    assert page.count("<h2>f1, higher is better</h2>") == 1
    assert "survey cost per plot, lower is better" in page
    rows = _tables(page)["metric0"]
    assert [row[0] for row in rows] == ["run", "runs/<one>", "runs/two"]
    assert "What differs" in page


def test_the_command_line_compares_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    people(tmp_path / "people.csv")
    quick = ["people.csv", "--target", "income", "--drop", "pay", "--method", "threshold", "--calls", "70"]
    for seed in ("0", "1"):
        done = CliRunner().invoke(app, ["optimize", *quick, "--metric", "f1", "--seed", seed, "--run", f"run{seed}"])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["report", "run0", "run1"])
    assert done.exit_code == 0, done.output
    assert "run0" in done.stdout and "Report: compared.html" in done.stdout
    page = Path("compared.html").read_text()
    assert "2 runs compared" in page and "seed" in page
    found = json.loads(CliRunner().invoke(app, ["report", "run0", "run1", "--json"]).stdout)
    assert [row["run"] for row in found["runs"]] == ["run0", "run1"]
    Path("kept.csv").write_text("mine")
    refused = CliRunner().invoke(app, ["report", "run0", "run1", "--out", "kept.csv"])
    assert refused.exit_code == 2 and Path("kept.csv").read_text() == "mine"
    absent = CliRunner().invoke(app, ["report", "run0", "nowhere"])
    assert absent.exit_code == 2 and "nowhere" in absent.stderr
