"""What a user's code and machine do to a command: it prints, ends the program, moves, or the disk is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metricopt.cli.app import app
from people import people

METRIC = """
import os, sys, random, torch

def noisy(labels, targets):
    print("hello from the metric")
    os.chdir("/")
    torch.manual_seed(1)
    random.seed(1)
    return float((labels == targets).mean())

def quits(labels, targets):
    sys.exit(0)
"""
COMMAND = ("optimize", "people.csv", "--target", "income", "--calls", "70", "--json")


@pytest.fixture(autouse=True)
def in_a_folder_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people(tmp_path / "people.csv", rows=600)
    (tmp_path / "rate.py").write_text(METRIC)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_a_metric_that_prints_and_moves_changes_nothing() -> None:
    here = Path.cwd()
    result = run(*COMMAND, "--metric", "rate.py:noisy", "--maximize", "--reads", "labels")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert "hello" not in result.stdout and "hello" in result.stderr
    assert Path.cwd() == here and (here / found["run"] / "report.html").is_file()


def test_a_metric_that_ends_the_program_is_told() -> None:
    result = run(*COMMAND, "--metric", "rate.py:quits", "--maximize", "--reads", "labels")
    assert result.exit_code in (2, 4) and "ended the program (sys.exit(0))" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["metrics", "--json"], ["losses"], ["--help"]])
def test_a_full_disk_behind_the_output_is_one_line(arguments: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "metricopt", *arguments],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("metricopt: cannot print the result: No space left")
    assert "Traceback" not in done.stderr


def test_predictions_never_replace_what_was_given() -> None:
    assert run(*COMMAND, "--metric", "f1").exit_code == 0
    folder, table = "runs/people-f1", Path("people.csv")
    before = table.read_bytes()
    for out in ("people.csv", f"{folder}/model.safetensors"):
        result = run("predict", folder, "people.csv", "--out", out, "--force")
        assert result.exit_code == 2 and "would be overwritten" in result.stderr
    assert table.read_bytes() == before
    assert run("predict", folder, "people.csv", "--out", "new.csv").exit_code == 0
    again = run("predict", folder, "people.csv", "--out", "new.csv")
    assert again.exit_code == 2 and "--force" in again.stderr
    assert run("predict", folder, "people.csv", "--out", "new.csv", "--force").exit_code == 0


def test_a_link_inside_a_run_folder_is_not_followed(tmp_path: Path) -> None:
    command = [*COMMAND, "--metric", "f1", "--run", "run"]
    assert run(*command).exit_code == 0
    outside = tmp_path / "outside"
    (tmp_path / "run" / "search").rename(outside)
    (tmp_path / "run" / "search").symlink_to(outside)
    (tmp_path / "run" / "summary.json").unlink()
    held = {path.name: path.read_bytes() for path in outside.iterdir() if path.is_file()}
    result = run(*command)
    assert result.exit_code == 2 and "leads out of its run folder" in result.stderr
    assert {path.name: path.read_bytes() for path in outside.iterdir() if path.is_file()} == held


def test_a_key_in_the_address_of_a_metric_is_kept_nowhere(tmp_path: Path) -> None:
    from metricopt.apps.table.request import TableRequest, default_folder

    url = "http://localhost:1/rate?token=SECRET"
    one, other = (
        TableRequest(path=tmp_path / "people.csv", target="income", metric=address).identity("0")
        for address in (url, url.replace("SECRET", "OTHER"))
    )
    assert "SECRET" not in json.dumps(one) and one != other
    assert "SECRET" not in str(default_folder("people.csv", url)) and "user" not in str(
        default_folder("a.csv", "http://user:secret@host/rate")
    )
    assert run(*COMMAND, "--metric", "f1", "--run", "run").exit_code == 0
    assert (tmp_path / "run" / "run.json").stat().st_mode & 0o077 == 0


def test_two_commands_with_other_settings_get_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "problem.py").write_text(
        "import torch\n"
        "def build():\n"
        "    torch.manual_seed(0)\n"
        "    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))\n"
        "    y = (x[:, 0] > 0.5).float()\n"
        "    return dict(model=torch.nn.Linear(3, 1), train=(x[:100], y[:100]), val=(x[100:], y[100:]), metric='f1')\n"
    )
    folders = [
        json.loads(run("optimize", "problem.py:build", "--calls", calls, "--json", "--method", "threshold").stdout)[
            "run"
        ]
        for calls in ("80", "90", "80")
    ]
    assert folders == ["runs/problem-f1", "runs/problem-f1-2", "runs/problem-f1"]
