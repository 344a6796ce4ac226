"""From rows to lines: which rows count, which way is up, what stands beside what."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from metricopt._errors import ConfigError
from metricopt.bench import PaperFigure, TableSpec
from metricopt.bench.cells import notes, sheets
from metricopt.bench.interval import paired_interval
from metricopt.bench.printed import print_table, to_markdown
from metricopt.bench.table import Table, make_table
from studies.table3 import PRESETS, full

SPEC = TableSpec(
    title="a table",
    data=("synthetic",),
    samplers=("plain",),
    methods=("as_trained", "threshold", "metricopt"),
    metrics=("mcr", "accuracy"),
    seeds=(0, 1, 2),
    calls=10,
    paper={
        ("synthetic", "mcr"): (
            PaperFigure(label="MO", title="MetricOpt", value=0.1369, beside=("metricopt",)),
            PaperFigure(label="SL", title="surrogate", value=0.1502),
        )
    },
    source="somewhere",
)

MCR = {"as_trained": (0.20, 0.22, 0.21), "threshold": (0.15, 0.16, 0.17), "metricopt": (0.16, 0.15, 0.18)}


def row(method: str, seed: int, test: float, **changes: Any) -> dict[str, Any]:
    environment = {
        "cpu": "a processor",
        "cores": 2,
        "threads": 1,
        "system": "Linux",
        "python": "3.11",
        "torch": "2",
        "accelerator": None,
    }
    return {
        "task": "synthetic-plain",
        "method": method,
        "metric": "mcr",
        "seed": seed,
        "settings": {"calls": 10, "dim": 16, "method": {}},
        "test": test,
        "calls": 0 if method == "as_trained" else 10,
        "seconds": 1.0 + seed,
        "diagnostics": {"fit_spearman": 0.5, "fit_mae": None} if method == "metricopt" else {},
        "environment": environment,
        "version": "0.1",
        **changes,
    }


ROWS = [row(method, seed, test) for method, tests in MCR.items() for seed, test in enumerate(tests)]


def table(rows: list[dict[str, Any]] = ROWS, spec: TableSpec = SPEC) -> Table:
    return make_table(spec, rows)


def test_gains_are_paired_by_seed_and_positive_where_lower_is_better() -> None:
    block = table().blocks[0]
    line = {line.method: line for line in block.lines}["metricopt"]
    assert line.gains[0] == paired_interval([-x for x in MCR["metricopt"]], [-x for x in MCR["as_trained"]])
    assert line.gains[0] is not None
    assert line.gains[0].mean == pytest.approx(sum(MCR["as_trained"]) / 3 - sum(MCR["metricopt"]) / 3)
    assert [gain.verdict if gain else None for gain in line.gains] == [0, 0]
    assert line.mean == pytest.approx(sum(MCR["metricopt"]) / 3)
    assert (line.seeds, line.calls, line.seconds) == (3, 10, 2.0)


def test_rows_in_any_order_are_paired_alike() -> None:
    assert [line.gains for line in table(ROWS[::-1]).blocks[0].lines] == [
        line.gains for line in table().blocks[0].lines
    ]


def test_accuracy_is_read_off_the_searches_for_mcr() -> None:
    mcr, accuracy = table().blocks
    assert (mcr.metric, accuracy.metric) == ("mcr", "accuracy")
    assert (mcr.higher_is_better, accuracy.higher_is_better) == (False, True)
    for one, other in zip(mcr.lines, accuracy.lines, strict=True):
        assert other.mean == pytest.approx(1 - one.mean)
        for ours, theirs in zip(one.gains, other.gains, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert theirs.mean == pytest.approx(ours.mean)
    assert SPEC.searched == ("mcr",)
    assert any("read off the searches for MCR" in note for note in notes(table()))


def test_only_seeds_that_both_have_are_compared() -> None:
    found = table([r for r in ROWS if not (r["method"] == "threshold" and r["seed"] == 1)])
    line = {line.method: line for line in found.blocks[0].lines}["metricopt"]
    assert line.gains[0] is not None
    assert line.gains[1] is not None
    assert (line.gains[0].n, line.gains[1].n) == (3, 2)
    assert found.missing == 1
    assert any("1 runs of this table are missing" in note for note in notes(found))


def test_the_last_settings_of_a_method_count() -> None:
    retuned = {"calls": 10, "dim": 16, "method": {"rounds": 2}}
    found = table([*ROWS, row("metricopt", 0, 0.11, settings=retuned)])
    line = {line.method: line for line in found.blocks[0].lines}["metricopt"]
    assert (line.mean, line.seeds) == (0.11, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"task": "a9a-plain"},
        {"metric": "f1"},
        {"method": "cma_es"},
        {"seed": 7},
        {"settings": {"calls": 11, "dim": 16, "method": {}}},
        {"settings": {"calls": 10, "dim": 8, "method": {}}},
    ],
)
def test_rows_of_other_tables_are_left_out(other: dict[str, Any]) -> None:
    assert table([*ROWS, {**row("metricopt", 0, 0.9), **other}]).blocks == table().blocks


def test_quality_and_the_papers_figures_stand_beside_their_method() -> None:
    block = table().blocks[0]
    lines = {line.method: line for line in block.lines}
    assert lines["metricopt"].quality == {"fit_spearman": 0.5}
    assert lines["threshold"].quality == {}
    assert [figure.label for figure in block.others] == ["SL"]
    text = to_markdown(table())
    assert "| 0.1369 (MO) |" in text
    assert "learned" not in text
    (sl,) = [line for line in text.splitlines() if "surrogate" in line]
    assert "0.1502 (SL)" in sl


def test_every_row_of_a_grid_is_as_wide_as_its_header() -> None:
    for compact in (False, True):
        for sheet in sheets(table(), compact=compact):
            for _, rows in sheet.groups:
                assert {len(cells) for cells in rows} == {len(sheet.header)}


def test_the_terminal_shows_every_cell_unabridged() -> None:
    for compact in (False, True):
        stream = io.StringIO()
        print_table(table(), compact=compact, stream=stream)
        text = stream.getvalue()
        assert "…" not in text
        for sheet in sheets(table(), compact=compact):
            for _, rows in sheet.groups:
                assert all(cell in text for cells in rows for cell in cells)


def test_marks_stand_where_the_interval_excludes_zero() -> None:
    text = to_markdown(table())
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    # By hand: differences .05, .06, .04 have mean .05 and deviation .01; 4.303 * .01 / sqrt(3) is .0248.
    assert lines["| tuned threshold"].split(" | ")[2] == "+5.00 ± 2.48 ▲"
    # And -.01, .01, -.01: mean -.0033, 4.303 * .011547 / sqrt(3) is .0287.
    assert lines["| MetricOpt"].split(" | ")[3] == "-0.33 ± 2.87"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("data", ("a9",), "did you mean 'a9a'"),
        ("methods", ("treshold",), "did you mean 'threshold'"),
        ("metrics", ("f_1",), "did you mean 'f1'"),
        ("against", ("as_traind",), "did you mean 'as_trained'"),
        ("samplers", ("even",), "sampler must be one of balanced, plain"),
        ("seeds", (), "seeds of a table must be one or more different values"),
        ("seeds", (0, 0), "seeds of a table must be one or more different values"),
        ("calls", 0, "calls must be an integer of at least 1"),
    ],
)
def test_a_spec_that_cannot_work_says_why(field: str, value: object, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        replace(SPEC, **{field: value})  # type: ignore[arg-type]


def test_the_full_preset_is_the_table_of_the_paper() -> None:
    spec = full()
    assert len(spec.seeds) >= 10
    assert {figure.label: figure.value for figure in spec.paper["a9a", "mcr"]} == {
        "CE": 0.1520,
        "SL": 0.1502,
        "MO": 0.1369,
    }
    # The paper's rule F = 2 J / (1 + J) fails for its "JAC", while accuracy = 1 - MCR nearly holds.
    sl = {metric: next(f.value for f in spec.paper["a9a", metric] if f.label == "SL") for metric in ("mcr", "accuracy")}
    assert sl["accuracy"] == pytest.approx(1 - sl["mcr"], abs=0.002)
    assert "accuracy" in spec.titles["accuracy"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_runs_of_a_preset_are_all_different(name: str) -> None:
    runs = list(PRESETS[name]().runs())
    assert len({run.key.digest for run in runs}) == len(runs)
    assert not any(run.metric == "accuracy" for run in runs)
