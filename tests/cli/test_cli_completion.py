"""What the shell proposes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metricopt.cli import app
from metricopt.methods import METHODS
from people import people


def proposals(line: str, shell: str = "bash") -> str:
    """What the program answers when the key is pressed at the end of `line`."""
    environment = {
        "_METRICOPT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    return CliRunner().invoke(app, [], env=environment, prog_name="metricopt").output


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("metricopt opt", ["optimize"]),
        ("metricopt optimize people.csv --metric f", ["f1", "f_beta", "false_positive_rate", "fpr", "fall_out"]),
        ("metricopt optimize people.csv --metric matthews", ["matthews_corrcoef"]),
        ("metricopt optimize people.csv --metric rm", ["rmse"]),
        ("metricopt optimize people.csv --metric neg_mean_absolute_e", ["neg_mean_absolute_error"]),
        ("metricopt optimize people.csv --method thr", ["threshold"]),
        ("metricopt optimize people.csv --method auto,thr", ["auto,threshold"]),
        ("metricopt optimize people.csv --method ", ["auto", *METHODS]),
        ("metricopt optimize people.csv --loss cross_ent", ["cross_entropy"]),
        ("metricopt optimize people.csv --target i", ["income"]),
        ("metricopt optimize people.csv --drop age,h", ["age,hours"]),
        ("metricopt optimize nothing.csv --target i", []),
        ("metricopt optimize empty.csv --target i", []),
        ("metricopt bench run a9a --metrics f1,mc", ["f1,mcr", "f1,mcc"]),
    ],
)
def test_names_are_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, wanted: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    people(tmp_path / "people.csv")
    (tmp_path / "empty.csv").touch()
    assert proposals(line).split() == wanted


def test_every_shell_is_answered_in_its_own_way() -> None:
    line = "metricopt optimize people.csv --metric f"
    assert '"f1":"F1' in proposals(line, "zsh")
    assert "f1\tF1: harmonic mean" in proposals(line, "fish")


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef metricopt"), ("fish", "complete --command metricopt")],
)
def test_the_script_of_any_shell_is_printed_as_the_page_says(shell: str, said: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    assert "_METRICOPT_COMPLETE=source_fish metricopt" in page
    environment = {"_METRICOPT_COMPLETE": f"source_{shell}"}
    assert said in CliRunner().invoke(app, [], env=environment, prog_name="metricopt").output


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", ".config/fish/completions/metricopt.fish")]
)
def test_completion_installs_for_a_shell(tmp_path: Path, shell: str, file: str) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    program = [sys.executable, "-c", "from metricopt.cli import main; main()", "--install-completion", shell]
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert (tmp_path / file).is_file()
    assert "_METRICOPT_COMPLETE" in written
