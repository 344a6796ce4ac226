"""`metricopt bench run` from end to end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner, Result

from metricopt.bench import failure_store
from metricopt.cli import app
from metricopt.methods import METHODS, Method, MethodCard, MethodEntry, Proposal
from metricopt.problem import Problem
from metricopt.runtime import ResultStore

QUICK = ["breast_cancer", "--sampler", "balanced", "--metrics", "mcr", "--seeds", "0-1", "--calls", "8"]
QUICK += ["--methods", "as_trained,threshold,random_search"]


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "run", *map(str, arguments)])


@pytest.mark.full
def test_two_programs_fill_one_table(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    program = [sys.executable, "-c", "from metricopt.cli import main; main()", "bench", "run", *QUICK]
    both = [
        subprocess.Popen([*program, "--workers", "0", "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    keys = [row["key"] for row in ResultStore(out).rows()]
    assert len(keys) == len(set(keys)) == 6


def test_printing_alone_runs_nothing(tmp_path: Path) -> None:
    done = invoke(*QUICK, "--no-run", "--out", tmp_path / "rows.jsonl")
    assert done.exit_code == 0
    assert "6 runs of this table are missing so far" in done.output
    assert list(tmp_path.iterdir()) == []


def test_compact_and_against(tmp_path: Path) -> None:
    done = invoke(*QUICK, "--workers", "0", "--out", tmp_path / "r.jsonl", "--compact", "--against", "threshold")
    assert done.exit_code == 0, done.output
    assert "gain over tuned threshold" in done.output
    assert "mcr ↓" in done.output


@dataclass(frozen=True, kw_only=True)
class Breaks(Method):
    card: ClassVar[MethodCard] = MethodCard(title="breaks", family="control")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        raise ArithmeticError("seven is not eight")


@dataclass(frozen=True, kw_only=True)
class Stops(Method):
    card: ClassVar[MethodCard] = MethodCard(title="stops", family="control")

    def search(self, problem: Problem, *, seed: int) -> Proposal:
        raise KeyboardInterrupt


@pytest.fixture(params=[Breaks, Stops])
def extra_method(request: pytest.FixtureRequest) -> Iterator[str]:
    kind: type[Method] = request.param
    METHODS.add("extra", MethodEntry(card=kind.card, method=kind()))
    yield "extra"
    del METHODS._items["extra"]


@pytest.mark.parametrize("extra_method", [Breaks], indirect=True)
def test_a_failed_run_is_told_at_the_end_and_in_the_exit_code(tmp_path: Path, extra_method: str) -> None:
    out = tmp_path / "rows.jsonl"
    done = invoke(*QUICK, "--methods", f"as_trained,{extra_method}", "--workers", "0", "--out", out)
    assert done.exit_code == 1
    assert "2 runs failed" in done.stderr
    assert "breast_cancer-balanced mcr extra seed 0: ArithmeticError: seven is not eight" in done.stderr
    assert "as trained" in done.stdout
    assert len(ResultStore(out).rows()) == 2
    assert len(failure_store(ResultStore(out)).rows()) == 2


@pytest.mark.parametrize("extra_method", [Stops], indirect=True)
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, extra_method: str) -> None:
    out = tmp_path / "rows.jsonl"
    done = invoke(*QUICK, "--methods", f"as_trained,{extra_method}", "--workers", "0", "--out", out)
    assert done.exit_code == 130
    assert done.stderr.strip().splitlines()[-1] == "metricopt: stopped; what was finished is kept"
    assert [row["method"] for row in ResultStore(out).rows()] == ["as_trained"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--methods", "treshold"], "did you mean 'threshold'?"),
        (["--methods", "@rivals"], "no family of methods named '@rivals'. There are: @reference, @rival"),
        (["--metrics", "f-1"], "did you mean 'f1'?"),
        (["covertype"], "did you mean 'covtype'?"),
        (["nowhere.py:build"], "nowhere.py"),
        (["--seeds", "few"], "seeds must look like 0-9 or 0,3,5; got 'few'"),
        (["--seeds", "3-1"], "seeds of a table must be one or more different values"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    named = arguments if not arguments[0].startswith("-") else ["breast_cancer", *arguments]
    metrics = [] if "--metrics" in named else ["--metrics", "f1"]
    run = [] if "nowhere" in named[0] else ["--no-run"]
    done = invoke("--out", tmp_path / "rows.jsonl", *metrics, *run, *named)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert done.stderr.startswith("metricopt: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_missing_data_are_told_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    (folder / "a9a").mkdir(parents=True)
    (folder / "a9a" / "a9a").write_bytes(b"not the published file")
    monkeypatch.setenv("METRICOPT_DATA", str(folder))
    monkeypatch.setenv("METRICOPT_CACHE", str(tmp_path / "cache"))
    done = invoke("a9a", "--metrics", "f1", "--workers", "0", "--out", tmp_path / "rows.jsonl")
    assert done.exit_code == 2
    assert "is damaged or another version" in done.stderr
    assert not (tmp_path / "rows.jsonl").exists()


def test_families_and_ranges_are_spelled_out(tmp_path: Path) -> None:
    done = invoke(*QUICK, "--methods", "@rival,@control", "--seeds", "0-2,5", "--no-run")
    assert done.exit_code == 0, done.output
    named = sum(entry.card.family in ("rival", "control") for entry in METHODS.values())
    assert f"{named * 4} runs of this table are missing so far" in done.output
    assert "seeds 0-2, 5" in done.output.replace("\n", " ")


OWN = """
import torch
from torch import nn


def build():
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0.5).float()
    net = nn.Linear(3, 1)
    nn.init.constant_(net.weight, 1.0)
    nn.init.zeros_(net.bias)
    return {"model": net, "train": (x[:200], y[:200]), "val": (x[200:], y[200:])}
"""


def test_a_table_of_problems_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    own, out = f"{tmp_path / 'own.py'}:build", tmp_path / "rows.jsonl"
    done = invoke(
        own,
        "--metrics",
        "f1",
        "--methods",
        "threshold,as_trained",
        "--seeds",
        "0",
        "--out",
        out,
        "--calls",
        "30",
        "--workers",
        "0",
    )
    assert done.exit_code == 0, done.output
    rows = {row["method"]: row for row in ResultStore(out).rows()}
    assert rows["threshold"]["task"] == own
    assert rows["threshold"]["test"] > rows["as_trained"]["test"] == rows["threshold"]["test_start"]
    assert (
        invoke(
            own,
            "--metrics",
            "f1",
            "--methods",
            "threshold",
            "--seeds",
            "0",
            "--out",
            out,
            "--calls",
            "30",
            "--workers",
            "0",
        ).exit_code
        == 0
    )
    assert len(ResultStore(out).rows()) == 2


def test_the_program_runs_as_installed(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from metricopt.cli import main; main()"]
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.startswith("metricopt ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--out", "no/such/folder/rows.jsonl"], "cannot write no/such/folder/rows.jsonl"),
        (["--out", "."], "cannot write ."),
        (["--markdown", "no/such/folder/table.md"], "folder that exists"),
        (["--workers", "-1"], "0, which runs in this process"),
        (["--metrics", "recall_at_k"], "recall_at_k"),
    ],
)
def test_what_would_fail_in_the_end_fails_before_anything_runs(arguments: list[str], complaint: str) -> None:
    metrics = [] if "--metrics" in arguments else ["--metrics", "f1"]
    result = invoke("synthetic", *metrics, *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
