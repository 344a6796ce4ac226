"""`metricopt optimize` on a table: what it prints, its exit codes, and how it is stopped."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from metricopt.apps.table.request import TableRequest
from metricopt.cli import app
from metricopt.runtime import RunFolder
from people import people

QUICK = ["--target", "income", "--metric", "f1", "--drop", "pay", "--method", "threshold", "--calls", "70"]


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["optimize", *map(str, arguments)])


@pytest.fixture(autouse=True)
def in_a_folder_with_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    people(tmp_path / "people.csv")


def test_a_table_from_end_to_end() -> None:
    done = invoke("people.csv", *QUICK)
    assert done.exit_code == 0, done.output
    assert "f1 of 'income' = 'low', higher is better" in done.stdout
    assert "test, 120 rows" in done.stdout
    assert "acceptance, 60 rows" in done.stdout
    assert "'income' holds 2 classes (high, low): classification" in done.stderr
    assert done.stdout.rstrip().endswith("runs/people-f1/report.html")
    folder = Path("runs/people-f1")
    names = {"model.safetensors", "trained.safetensors", "summary.json", "report_data.json", "report.html", "search"}
    assert names < {path.name for path in folder.iterdir()}
    assert (folder / "search" / "rows.jsonl").stat().st_size > 0
    again = invoke("people.csv", *QUICK)
    assert again.exit_code == 0
    assert "finished before, nothing was computed again" in again.stdout
    assert again.stderr == ""


def test_json_is_one_object_and_nothing_else() -> None:
    done = invoke("people.csv", *QUICK, "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert found["metric"] == "f1"
    assert found["test"]["rows"] == 120
    gain = found["acceptance"]["after"] - found["acceptance"]["before"]
    assert found["acceptance"]["gain"] == pytest.approx(gain)
    assert found["accepted"] is (found["acceptance"]["interval"][0] > 0)
    assert Path(found["report"]).is_file()
    assert Path(found["model"]).is_file()


def test_the_regression_of_the_documentation_works_as_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
    section = page.partition("## Numbers to predict")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)
    Path("example.py").write_text("\n".join(block for kind, block in blocks if kind == "python"))
    runpy.run_path("example.py")
    (printed,) = (block.splitlines() for kind, block in blocks if not kind)
    quick = ["--method", "random_search", "--calls", "70"]  # behind those of the page; the figures are left to it
    for block in (block for kind, block in blocks if kind == "sh"):
        done = invoke(*shlex.split(block)[2:], *quick)
        assert done.exit_code == 0, done.output
        if "--metric mae" in block:  # what is said before the table of figures depends on the data alone
            assert [*done.stderr.splitlines(), done.stdout.splitlines()[0].rstrip()] == printed[:4]


def test_quiet_prints_the_result_alone() -> None:
    done = invoke("people.csv", *QUICK, "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "acceptance, 60 rows" in done.stdout


def test_a_script_can_ask_for_a_status_where_nothing_was_gained() -> None:
    perfect = ["--target", "income", "--metric", "one.py:one", "--maximize", "--method", "threshold", "--calls", "70"]
    Path("one.py").write_text("def one(scores, targets): return 1.0\n")
    assert invoke("people.csv", *perfect).exit_code == 0
    done = invoke("people.csv", *perfect, "--fail-if-unchanged")
    assert done.exit_code == 3
    assert "Not accepted, the model stays as it was" in done.stdout


def test_every_option_reaches_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TableRequest] = []

    def caught(request: TableRequest, **choices: object) -> None:
        seen.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr("metricopt.apps.table.job.optimize_table", caught)
    options = "--target y --metric a.py:b --minimize --bounds -2 3.5 --reads labels --task classification --positive no"
    options += " --drop a,b --separator tab --encoding cp1252 --method threshold,cma_es --loss cross_entropy --calls 99"
    options += " --name"
    options += " cost --seconds 7 --validation 0.3 --test 0.1 --acceptance 0.5 --confidence 0.9 --seed 4 --device cpu"
    assert invoke("t.csv", *shlex.split(options)).exit_code == 130
    assert seen == [
        TableRequest(
            path=Path("t.csv"),
            target="y",
            metric="a.py:b",
            name="cost",
            higher_is_better=False,
            bounds=(-2.0, 3.5),
            reads="labels",
            task="classification",
            positive="no",
            drop=("a", "b"),
            separator="tab",
            encoding="cp1252",
            method=("threshold", "cma_es"),
            loss="cross_entropy",
            calls=99,
            seconds=7.0,
            validation=0.3,
            test=0.1,
            acceptance=0.5,
            confidence=0.9,
            seed=4,
            device="cpu",
        )
    ]
    assert invoke("t.csv", "--target", "y", "--metric", "f1", "--maximize").exit_code == 130
    assert seen[1] == TableRequest(path=Path("t.csv"), target="y", metric="f1", higher_is_better=True)


STOPS = """\
import os, signal
calls = []

def cost(read, truth):
    calls.append(1)
    if os.environ.get("STOP_AT") == str(len(calls)):
        os.kill(os.getpid(), signal.SIGINT)
    return (read != truth).mean()
"""


def test_ctrl_c_leaves_a_run_that_the_named_command_resumes() -> None:
    """A real program and a real signal, twice; the end is that of a run that was never stopped."""
    Path("stops.py").write_text(STOPS)
    arguments = ["optimize", "people.csv", "--target", "income", "--metric", "stops.py:cost", "--minimize"]
    arguments += ["--reads", "labels", "--drop", "pay", "--method", "threshold", "--calls", "80", "--json"]
    program = [sys.executable, "-c", "from metricopt.cli import main; main()"]

    def run(*extra: str, stop_at: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"STOP_AT": stop_at}
        command = [*program, *arguments, *extra]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    stopped = run(stop_at="25")
    assert (stopped.returncode, stopped.stdout) == (130, "")
    *_, last = stopped.stderr.strip().splitlines()
    assert last == (
        "metricopt: stopped; what was done is kept in runs/people-cost. The same command goes on: "
        "metricopt " + shlex.join(arguments)
    )
    kept = Path("runs/people-cost/search/answers.jsonl").read_bytes().count(b"\n")
    assert 20 <= kept <= 24
    whole = json.loads(invoke(*arguments[1:], "--run", "whole").stdout)
    resumed = json.loads(run().stdout)
    same = ("acceptance", "test", "accepted", "calls", "test_calls", "reason")
    assert {name: resumed[name] for name in same} == {name: whole[name] for name in same}
    assert Path(resumed["model"]).read_bytes() == Path(whole["model"]).read_bytes()


def test_stopped_before_anything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: object, **choices: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metricopt.apps.table.job.read_table", stopped)
    done = invoke("people.csv", *QUICK)
    assert done.exit_code == 130
    assert done.stderr.startswith("metricopt: stopped; nothing had begun. The same command goes on: metricopt optimize")


RATE = """\
import sys
import numpy as np

with np.load(sys.argv[1]) as found:
    print(np.mean((found["scores"] > 0) != found["targets"]))
"""


def test_a_command_is_called_by_its_script_in_the_result_and_the_report() -> None:
    Path("rate.py").write_text(RATE)
    metric = "cmd:" + shlex.join([sys.executable, str(Path("rate.py").absolute()), "{file}"])
    options = ["--target", "income", "--drop", "pay", "--metric", metric, "--minimize", "--method", "threshold"]
    done = invoke("people.csv", *options, "--calls", "62", "--confidence", "0.5", "--quiet")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("rate.py of 'income' = 'low', lower is better\n")
    (page,) = Path("runs").glob("*/report.html")
    assert "<h1>income by rate.py</h1>" in page.read_text()
    headline = re.search('<p class="headline">(.*?)</p>', page.read_text())
    assert headline is not None and "rate.py" in headline[1]
    assert "python" not in headline[1]


def test_a_metric_of_a_table_is_called_what_the_user_says() -> None:
    plain = json.loads(invoke("people.csv", *QUICK, "--json").stdout)
    named = json.loads(invoke("people.csv", *QUICK, "--json", "--name", "F1 of the low").stdout)
    assert (named["metric"], named["run"]) == ("F1 of the low", "runs/people-F1-of-the-low")
    assert named["acceptance"] == plain["acceptance"]
    assert "<h1>income by F1 of the low</h1>" in Path(named["report"]).read_text()


def test_a_failing_command_is_told_with_its_last_words_and_a_status_of_its_own() -> None:
    Path("rate.py").write_text("import sys; print('no licence found', file=sys.stderr); sys.exit(3)\n")
    metric = shlex.join([sys.executable, "rate.py", "{file}"])
    done = invoke("people.csv", *QUICK[:2], "--metric", f"cmd:{metric}", "--minimize", "--calls", "70", "--quiet")
    assert done.exit_code == 4
    assert "no licence found" in done.stderr
    assert "({file} stands for the path of the NumPy file) ended with status 3" in done.stderr
    assert not Path("runs").exists()
    assert "Traceback" not in done.stderr


def test_a_held_run_folder_has_a_status_of_its_own() -> None:
    with RunFolder("held", {"job": "another"}):
        done = invoke("people.csv", *QUICK, "--run", "held")
    assert done.exit_code == 5
    assert "in use by another process" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["people.csv", "--target", "incom", "--metric", "f1"],
            "the target 'incom' is not in people.csv; did you mean",
        ),
        (["people.csv", "--metric", "f1"], "name the column to predict with --target; people.csv has: age, hours, job"),
        (["people.csv", "--target", "income"], "name the metric with --metric; `metricopt metrics` lists"),
        (["people.csv", "--target", "income", "--metric", "f-1"], "no metric named 'f-1'; did you mean 'f1'?"),
        (["people.csv", "--target", "income", "--metric", "stops.py:c"], "no file 'stops.py'"),
        (["people.csv", "--target", "income", "--metric", "bad.py:cost", "--minimize"], "bad.py:2: SyntaxError"),
        (["people.csv", "--target", "income", "--metric", "math:dist"], "pass --maximize or --minimize"),
        (["people.csv", "--target", "income", "--metric", "cmd:nosuch", "--minimize"], "no program 'nosuch'"),
        (["people.csv", "--target", "income", "--metric", "f1", "--bounds", "0", "2"], "leave it out"),
        (["people.csv", "--target", "pay", "--metric", "maee"], "no metric named 'maee'; did you mean 'mae'?"),
        (
            ["people.csv", "--target", "pay", "--metric", "math:dist", "--maximize"],
            (
                "so its range cannot be told from the data; correct the direction, "
                "or state the range with --bounds LOW HIGH"
            ),
        ),
        (
            ["people.csv", "--target", "income", "--metric", "cmd:cat a{file}", "--minimize"],
            "'a{file}' of 'cmd:cat a{file}' would stay as it is",
        ),
        (["people.csv", "--target", "since", "--metric", "f1"], "holds dates"),
        (["people.csv", "--target", "income", "--metric", "f1", "--calls", "3"], "give at least 62"),
        (["peple.csv", "--target", "income", "--metric", "f1"], "did you mean 'people.csv'?"),
        ([".", "--target", "income", "--metric", "f1"], "is a folder; give a CSV or Parquet file"),
        (["people.csv", "--target", "income", "--metric", "f1", "--run", "people.csv"], "cannot make the run folder"),
        (["people.csv", "--target", "income", "--metric", "f1", "--run", "full"], "is not empty and holds no run"),
        (["bad.py", "--metric", "f1"], "names a file but no function in it; write bad.py:function"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], complaint: str) -> None:
    Path("bad.py").write_text("def cost(s, t):\n    return (\n")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    done = invoke(*arguments, "--quiet")
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert done.stderr.startswith("metricopt: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not Path("runs").exists()


def test_without_an_acceptance_test_what_looks_better_is_kept_and_the_result_says_so() -> None:
    done = invoke("people.csv", *QUICK, "--acceptance", "none")
    assert done.exit_code == 0, done.output
    assert "no acceptance test" in done.stderr
    assert "search, which" in done.stdout and "not tested" in done.stdout
    found = json.loads(invoke("people.csv", *QUICK, "--acceptance", "none", "--json").stdout)
    assert found["verified"] is False and found["acceptance"]["interval"] is None
    assert found["acceptance"]["rows"] == 149 and found["test"]["rows"] == 120
    page = Path(found["report"]).read_text()
    assert "Accepted, not verified" in page
    assert "The search was trusted, without an acceptance test" in page
    few = invoke("people.csv", *QUICK, "--calls", "60")
    assert "give at least 62, or --acceptance none" in few.stderr
    wrong = invoke("people.csv", *QUICK, "--acceptance", "nothing")
    assert wrong.exit_code == 2 and "or none for no test" in wrong.stderr
