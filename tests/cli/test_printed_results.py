"""What a table of figures says of a change that was refused: which model "after" is of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from metricopt.cli.printed import Part, Printed, show
from metricopt.cli.result_of_table import printed_table
from metricopt.job.table.job import TableResult
from metricopt.job.table.summary import Figures, TableSummary

REFUSED = TableSummary(
    source="people.csv",
    target="income",
    task="classification",
    classes=("high", "low"),
    positive="low",
    metric="f1",
    higher_is_better=True,
    accepted=False,
    reason="The gain could be chance.",
    proposal="tuned threshold",
    confidence=0.95,
    acceptance=Figures(rows=60, before=0.5, after=0.55, low=-0.02, high=0.12),
    test=Figures(rows=120, before=0.48, after=0.48, low=0.0, high=0.0),
    calls=70,
    test_calls=2,
    seconds=1.0,
    notes=(),
)
ACCEPTED = replace(
    REFUSED,
    accepted=True,
    acceptance=Figures(rows=60, before=0.5, after=0.6, low=0.02, high=0.18),
    test=Figures(rows=120, before=0.48, after=0.48, low=0.0, high=0.0),
)
NOTHING = replace(REFUSED, acceptance=Figures(rows=60, before=0.5, after=0.5, low=0.0, high=0.0))


def _printed(summary: TableSummary) -> Printed:
    return printed_table(TableResult(folder=Path("run"), summary=summary, again=False))


@pytest.mark.parametrize(
    ("summary", "acceptance", "test"),
    [
        (REFUSED, "acceptance, 60 rows (refused change)", "test, 120 rows (model as it was)"),
        (NOTHING, "acceptance, 60 rows (model as it was)", "test, 120 rows (model as it was)"),
        (ACCEPTED, "acceptance, 60 rows  ", "test, 120 rows  "),
    ],
    ids=["refused", "nothing proposed", "accepted"],
)
def test_rows_name_the_model_that_they_are_of(
    summary: TableSummary, acceptance: str, test: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(_printed(summary), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(acceptance in line for line in lines)
    assert any(test in line for line in lines)


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (REFUSED, ("refused", "unchanged")),
        (NOTHING, ("unchanged", "unchanged")),
        (ACCEPTED, ("accepted", "accepted")),
    ],
    ids=["refused", "nothing proposed", "accepted"],
)
def test_json_says_it_too(summary: TableSummary, said: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    show(_printed(summary), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["acceptance"]["after_is"], found["test"]["after_is"]) == said
    assert found["acceptance"]["after"] == summary.acceptance.after


def test_a_run_that_trusted_the_search_and_found_no_gain_is_refused_too() -> None:
    part = Part(name="search", rows=None, before=0.5, after=0.4, low=None, high=None, accepted=False)
    assert part.after_is == "refused"
    assert replace(part, after=0.5).after_is == "unchanged"
