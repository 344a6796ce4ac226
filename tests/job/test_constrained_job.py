"""Limits through the one-call job: feasible where it can be, said plainly where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import metricopt
from metricopt._perceptron import perceptron
from metricopt._random import generator
from metricopt.cli import app
from metricopt.job import Outcome
from metricopt.metrics import constrained
from metricopt.report import render
from people import people


def _tuned(limit: str, seed: int = 0, run: Path | None = None) -> Outcome:
    source = generator("constrained job", seed)
    x = torch.randn(2400, 4, generator=source)
    y = (x[:, 0] + torch.randn(2400, generator=source) > 0.8).float()
    net = nn.Linear(4, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.6, 0.0, 0.0, 0.0]]))
        net.bias.fill_(-1.3)
    return metricopt.optimize(
        net,
        metric=constrained("precision", recall=limit),
        train=(x[:400], y[:400]),
        val=(x[400:], y[400:]),
        method="threshold",
        budget=120,
        seed=seed,
        run=run,
        quiet=True,
    )


def test_a_limit_is_reached_and_told(tmp_path: Path) -> None:
    outcome = _tuned(">= 0.8", run=tmp_path / "run")
    objective, recall = outcome.terms
    assert outcome.accepted and outcome.feasible and recall.kept and not recall.kept_before
    assert recall.low is not None and recall.low < recall.after < recall.high and recall.after >= 0.8 > recall.before
    assert outcome.after == pytest.approx(objective.after)  # on the acceptance rows no margin is asked for
    assert "recall >= 0.8 holds on the acceptance rows: 0." in outcome.summary()
    page = render(outcome.report_data)
    assert "The limits hold" in page and "and recall &gt;= 0.8 holds" in page and "a limit broken" in page
    loaded = metricopt.load(tmp_path / "run")
    assert loaded.terms == outcome.terms and loaded.feasible


def test_what_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # Higher than any threshold on few rows can keep with a margin, beside a precision that is far away.
    source = generator("infeasible")
    x = torch.randn(900, 2, generator=source)
    y = (torch.rand(900, generator=source) < 0.5).float()  # nothing to learn
    outcome = metricopt.optimize(
        perceptron((2, 1), activation=nn.ReLU, generator=source),
        metric=constrained("recall", precision=">= 0.9"),
        train=(x[:300], y[:300]),
        val=(x[300:], y[300:]),
        method="threshold",
        budget=80,
        quiet=True,
    )
    assert not outcome.feasible
    assert "precision >= 0.9 does not hold" in outcome.summary()
    assert "A limit is broken" in render(outcome.report_data)


def test_the_command_line_takes_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    people(tmp_path / "people.csv")
    command = ["optimize", "people.csv", "--target", "income", "--metric", "precision", "--drop", "pay"]
    command += ["--subject-to", "recall >= 0.6", "--method", "threshold", "--calls", "70"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "precision subject to recall >= 0.6 of 'income'" in done.stdout
    assert "kept" in done.stdout and "recall >= 0.6" in done.stdout
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [one["text"] for one in found["terms"]] == ["precision", "recall >= 0.6"]
    assert found["terms"][1]["kept"] in (True, False)
    # Another limit is another run, with a folder of its own.
    other = CliRunner().invoke(app, [*[w.replace("0.6", "0.7") for w in command], "--json"])
    assert json.loads(other.stdout)["run"] != found["run"]
    wrong = CliRunner().invoke(app, [*command, "--subject-to", "recall"])
    assert wrong.exit_code == 2 and "a limit looks like" in wrong.stderr
    far = CliRunner().invoke(app, [*command, "--subject-to", "cmd:true >= 0.1"])
    assert far.exit_code == 2 and "asked too often" in far.stderr
