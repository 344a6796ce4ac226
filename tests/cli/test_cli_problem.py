"""`metricopt optimize file.py:function`: a torch problem of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import metricopt
from metricopt.cli import app

PROBLEM = """\
import torch

def build():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(900, 3, generator=source)
    y = (x[:, 0] + 0.3 * torch.randn(900, generator=source) > 0.8).float()
    model = torch.nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[4.0, 0.0, 0.0]]))
        model.bias.fill_(2.0)
    return {"model": model, "train": (x[:300], y[:300]), "val": (x[300:], y[300:]), "metric": "f1"}

def with_cost():
    return build() | {"metric": lambda scores, targets: (scores > 0).ne(targets > 0).float().mean(),
                      "higher_is_better": False}

def text(): return "model"
def lacks(): return {"model": build()["model"]}
def strange(): return build() | {"vall": 1}
def fails(): return [][3]
def asks(seed, *more, size=3): return build()
number = 3
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["optimize", *arguments])


@pytest.fixture(autouse=True)
def in_a_folder_with_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "problem.py").write_text(PROBLEM)


def test_a_problem_from_end_to_end() -> None:
    done = invoke("problem.py:build", "--calls", "100", "--method", "threshold", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["accepted"]
    assert found["run"] == "runs/problem-f1"
    outcome = metricopt.load(found["run"], model=torch.nn.Linear(3, 1))
    assert (outcome.before, outcome.after) == (found["acceptance"]["before"], found["acceptance"]["after"])
    assert outcome.model.bias.item() < 0.0
    again = invoke("problem.py:build", "--calls", "100", "--method", "threshold")
    assert again.exit_code == 0
    assert "metricopt.load('runs/problem-f1', model=your_model).model" in again.stdout
    assert again.stdout.rstrip().endswith("runs/problem-f1/report.html")


def test_the_command_line_has_the_last_word_on_the_metric() -> None:
    done = invoke("problem:build", "--metric", "accuracy", "--calls", "70", "--method", "threshold", "--json")
    assert json.loads(done.stdout)["metric"] == "accuracy"
    other = invoke("problem.py:with_cost", "--calls", "70", "--method", "threshold", "--seed", "3", "--json")
    found = json.loads(other.stdout)
    assert found["higher_is_better"] is False
    assert found["acceptance"]["after"] < found["acceptance"]["before"]


def test_a_metric_is_called_what_the_user_says() -> None:
    """In the result, the report and the saved outcome; the search is that of the metric with its own name."""
    options = ["--calls", "100", "--method", "threshold", "--json"]
    plain = json.loads(invoke("problem.py:build", *options).stdout)
    named = json.loads(invoke("problem.py:build", *options, "--name", "F1 of the late").stdout)
    assert named["metric"] == "F1 of the late"
    assert named["acceptance"] == plain["acceptance"]
    assert named["run"] == "runs/problem-F1-of-the-late"
    outcome = metricopt.load(named["run"], model=torch.nn.Linear(3, 1))
    assert (outcome.metric, outcome.report_data.metric) == ("F1 of the late", "F1 of the late")
    assert "<h1>Linear, tuned for F1 of the late</h1>" in Path(named["report"]).read_text()


def test_a_small_budget_is_enough() -> None:
    done = invoke("problem.py:build", "--calls", "70")
    assert done.exit_code == 0, done.output
    assert "The metric rewards" in done.stdout or "Not accepted" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["problem.py:text"], "must return a mapping such as dict(model=..., train=..., val=..., loss=...), not str"),
        (["problem.py:lacks"], "lacks train, val"),
        (["problem.py:strange"], "has an unknown 'vall'; did you mean 'val'?"),
        (["problem.py:fails"], "problem.py:fails failed: IndexError: list index out of range (problem.py:20)"),
        (
            ["problem.py:asks"],
            "problem.py:asks asks for seed, but the function must take no arguments; give each a default",
        ),
        (["problem.py:build", "--name", ""], "the name of the metric must be one line of 1 to 60 characters"),
        (["problem.py:number"], "'number' in problem.py is a int; name a function"),
        (["problem.py:bild"], "problem.py has no 'bild'; did you mean 'build'?"),
        (["problm.py:build"], "did you mean 'problem.py'?"),
        (["problem.py:build", "--target", "y"], "--target goes with a table, but problem.py:build builds a problem"),
        (["problem.py:build", "--task", "regression"], "--task goes with a table"),
        (["problem.py:build", "--metric", "math:dist"], "pass --maximize or --minimize"),
        (["problem.py:build", "--loss", "cross_entrop"], "did you mean 'cross_entropy'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], complaint: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
