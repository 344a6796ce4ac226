"""`metricopt evolve` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from metricopt import SymbolicLoss
from metricopt.cli.app import app
from people import people

PROBLEM = """
import torch

def build():
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0.5).float()
    return dict(model=torch.nn.Linear(3, 1), train=(x[:150], y[:150]), val=(x[150:], y[150:]), metric="f1", rate=0.1)
"""


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evolve", *map(str, arguments)])


@pytest.fixture(autouse=True)
def in_a_folder_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people(tmp_path / "people.csv", rows=600)
    (tmp_path / "problem.py").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)


def test_a_table_from_end_to_end_and_again() -> None:
    command = ("people.csv", "--target", "income", "--metric", "f1", "--positive", "high", "--preset", "smoke")
    result = invoke(*command)
    assert result.exit_code == 0, result.output
    for said in (
        "before: cross_entropy, after: the evolved loss",
        "Loss:",
        "In short:",
        "Run folder: runs/people-f1-loss",
    ):
        assert said in result.stdout
    assert "regression" not in result.stderr and "'high' counts as positive" in result.stderr
    again = invoke(*command, "--json")
    found = json.loads(again.stdout)
    assert again.exit_code == 0 and found["formula"] and found["calls"] > 10
    loss = SymbolicLoss.load(found["loss"])
    assert str(loss.formula) == found["formula"] and Path(found["report"]).is_file()
    shown = CliRunner().invoke(app, ["report", found["run"], "--json"])
    assert json.loads(shown.stdout) == found
    tuned = CliRunner().invoke(
        app,
        ["optimize", "people.csv", "--target", "income", "--metric", "f1", "--loss", found["loss"], "--calls", "100"],
    )
    assert tuned.exit_code == 0, tuned.output


def test_a_regression_and_a_problem_of_ones_own() -> None:
    result = invoke("people.csv", "--target", "pay", "--metric", "mae", "--preset", "smoke", "--width", "0", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["plain_loss"] == "mse"
    result = invoke("problem.py:build", "--preset", "smoke", "--generations", "1", "--quiet", "--fail-if-unchanged")
    assert result.exit_code in (0, 3), result.output
    assert Path("runs/problem-f1-loss/loss.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["people.csv", "--metric", "f1"], "name the column to predict with --target"),
        (["people.csv", "--target", "income"], "name the metric with --metric"),
        (["people.csv", "--target", "income", "--metric", "f1", "--preset", "big"], "there are: paper, small, smoke"),
        (["people.csv", "--target", "income", "--metric", "f1", "--population", "0"], "population must be"),
        (["people.csv", "--target", "income", "--metric", "f1", "--loss", "nope.json"], "there is no 'nope.json'"),
        (["problem.py:build", "--target", "y"], "--target goes with a table"),
        (["nothing.csv", "--target", "y", "--metric", "f1"], "nothing.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("metricopt: ") and told in lines[0]
