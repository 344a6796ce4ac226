"""What there is, as the command line lists it."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from metricopt import __version__
from metricopt.cli import app
from metricopt.losses import LOSSES
from metricopt.methods import METHODS
from metricopt.metrics import METRICS, SHORT_NAMES


@pytest.mark.parametrize(
    ("command", "names"),
    [("metrics", [*METRICS, *SHORT_NAMES]), ("methods", [*METHODS]), ("losses", [*LOSSES])],
)
def test_every_name_is_listed_whole(command: str, names: list[str]) -> None:
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0, done.output
    listed = {line.split()[1] for line in done.output.splitlines() if line.startswith("│ ")}
    assert set(names) <= listed


@pytest.mark.parametrize("columns", [80, 60, 200])
@pytest.mark.parametrize("command", ["metrics", "methods", "losses"])
def test_words_stay_whole_at_any_width(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word of the table is a word of the same listing as JSON: none is cut in two."""
    monkeypatch.setenv("COLUMNS", str(columns))
    done, plain = CliRunner().invoke(app, [command]), CliRunner().invoke(app, [command, "--json"])
    listed = json.dumps(json.loads(plain.stdout), ensure_ascii=False)
    heads = {"what", "it", "also", "called", "aims", "at"}
    known = set(re.findall(r"[\w-]+", listed)) | heads
    table = "\n".join(line for line in done.output.splitlines() if line.startswith("│ "))
    assert "…" not in done.output
    assert set(re.findall(r"[\w-]+", table)) <= known
    if columns == 80:
        assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize(
    ("command", "names", "keys"),
    [
        ("metrics", [*METRICS, *SHORT_NAMES], ["name", "title", "better", "for", "also_called"]),
        ("methods", [*METHODS], ["name", "title", "family", "adapters", "needs"]),
        ("losses", [*LOSSES], ["name", "title", "aims_at", "cost", "paper"]),
    ],
)
def test_every_listing_is_there_as_json(command: str, names: list[str], keys: list[str]) -> None:
    done = CliRunner().invoke(app, [command, "--json"])
    found = json.loads(done.stdout)
    assert [each["name"] for each in found] == names
    assert all(list(each) == keys for each in found)


def test_json_and_markdown_are_not_asked_for_together() -> None:
    done = CliRunner().invoke(app, ["losses", "--json", "--markdown"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "choose one" in done.stderr


def test_the_listing_says_what_becomes_of_a_negated_error() -> None:
    done = CliRunner().invoke(app, ["metrics"])
    assert "One that is named neg_... is shown without its sign, as the error itself: lower is better." in done.output


def test_the_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"metricopt {__version__}\n")


def test_debug_shows_the_traceback() -> None:
    arguments = ["bench", "run", "covertype", "--metrics", "f1"]
    plain, debug = CliRunner().invoke(app, arguments), CliRunner().invoke(app, ["--debug", *arguments])
    assert plain.exit_code == 2
    assert plain.exc_info is not None
    assert plain.exc_info[0] is SystemExit
    assert type(debug.exception).__name__ == "ConfigError"


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(app, ["metric"])
    assert done.exit_code == 2
    assert "metrics" in done.stderr
