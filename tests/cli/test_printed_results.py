"""What a table of figures says of a change that was refused: which model "after" is of."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from metricopt.apps.table.job import TableResult
from metricopt.apps.table.summary import Figures, TableSummary
from metricopt.cli.printed import Part, Printed, show
from metricopt.cli.result_of_table import printed_table

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
        (REFUSED, "(refused change)", "(model as it was)"),
        (NOTHING, "(model as it was)", "(model as it was)"),
        (ACCEPTED, "", ""),
    ],
    ids=["refused", "nothing proposed", "accepted"],
)
def test_rows_name_the_model_that_they_are_of(
    summary: TableSummary, acceptance: str, test: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(_printed(summary), as_json=False)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for name, mark in (("acceptance, 60 rows", acceptance), ("test, 120 rows", test)):
        (at,) = (at for at, line in enumerate(lines) if line.startswith(name))
        below = lines[at + 1]
        assert below == mark if mark else not below.startswith("(")


WIDE = replace(
    REFUSED,
    acceptance=Figures(rows=60_000, before=-1.234e-05, after=-1.234e05, low=-1.234e-05, high=0.1236),
    test=Figures(rows=120_000, before=-1.234e-05, after=-1.234e-05, low=0.0, high=0.0),
)


@pytest.mark.parametrize("summary", [REFUSED, NOTHING, ACCEPTED, WIDE], ids=["refused", "nothing", "accepted", "wide"])
@pytest.mark.parametrize("columns", [80, 40])
def test_a_number_is_never_cut(
    summary: TableSummary, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show(_printed(summary), as_json=False)
    shown = capsys.readouterr().out
    assert "…" not in shown
    for part in (summary.acceptance, summary.test):
        assert part is not None
        assert [f"{part.before:.4g}", f"{part.after:.4g}"] in [list(pair) for pair in pairwise(shown.split())]
        if part.low != part.high:
            assert f"{part.low:+.4g} to {part.high:+.4g}" in shown
    if columns == 80:
        table = shown.partition("Not accepted" if not summary.accepted else "Accepted")[0]
        assert max(len(line.rstrip()) for line in table.splitlines()) <= 80


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
