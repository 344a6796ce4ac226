"""What there is, as the command line lists it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from metricopt import __version__
from metricopt.bench.reference_methods import REFERENCES
from metricopt.cli import app
from metricopt.losses import LOSSES
from metricopt.methods import METHODS
from metricopt.metrics import METRICS, SHORT_NAMES


@pytest.mark.parametrize(
    ("command", "names"),
    [("metrics", [*METRICS, *SHORT_NAMES]), ("methods", [*METHODS, *REFERENCES]), ("losses", [*LOSSES])],
)
def test_every_name_is_listed_whole(command: str, names: list[str]) -> None:
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0, done.output
    listed = {line.split()[1] for line in done.output.splitlines() if line.startswith("│ ")}
    assert set(names) <= listed


def test_the_listing_says_what_becomes_of_a_negated_error() -> None:
    done = CliRunner().invoke(app, ["metrics"])
    assert "One that is named neg_... is shown without its sign, as the error itself: lower is better." in done.output


def test_the_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"metricopt {__version__}\n")


def test_debug_shows_the_traceback() -> None:
    arguments = ["bench", "table3", "--preset", "smok"]
    plain, debug = CliRunner().invoke(app, arguments), CliRunner().invoke(app, ["--debug", *arguments])
    assert plain.exit_code == 2
    assert plain.exc_info is not None
    assert plain.exc_info[0] is SystemExit
    assert type(debug.exception).__name__ == "ConfigError"


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(app, ["metric"])
    assert done.exit_code == 2
    assert "metrics" in done.stderr
