"""What a page says of a study is what its committed rows say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from metricopt.bench.arena.page import picture
from metricopt.bench.arena.standings import best_known, standings
from metricopt.runtime import ResultStore
from studies import arena_page
from studies.anyloss import PRESETS, make_study
from studies.anyloss.print_study import to_markdown
from studies.anyloss.rank_plot import rank_plot

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "docs" / "results"


def _study(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "studies" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "count"), [("transfer", 4), ("never_worse", 300), ("estimators", 16)])
def test_the_table_in_the_readme_is_that_of_the_rows(name: str, count: int) -> None:
    study = _study(name)
    rows = ResultStore(study.ROWS).rows()
    assert len(rows) >= count
    assert study.summary(rows) in (PAGES / f"{name.replace('_', '-')}.md").read_text()


@pytest.mark.parametrize("block", arena_page.BLOCKS, ids=lambda block: block.name)
def test_the_standings_of_the_arena_are_those_of_the_rows(block: arena_page.Block) -> None:
    found = ResultStore(arena_page.ROWS).rows()
    assert block.text(found) in arena_page.PAGE.read_text()
    rows = block.rows(found)
    best = [standings(rows, calls=calls, methods=block.methods, known=best_known(rows)) for calls in block.calls]
    first = {one.calls: one for one in best if one is not None}
    led = {calls for calls, one in first.items() if one.lines[0].method == "metricopt"}
    assert led == set(first) - set(block.behind)
    assert {calls for calls in led if first[calls].lines[0].lead_high < 0} >= set(block.significant)
    if block.name == "all":
        assert picture(rows, block.methods) == arena_page.PICTURE.read_text()


def test_what_is_said_of_the_anyloss_study_is_what_its_rows_say() -> None:
    results = REPOSITORY / "studies" / "results"
    study = make_study(PRESETS["full"](), ResultStore(results / "anyloss.jsonl").rows())
    assert study.missing == 0
    assert len(study.data) == 20
    assert to_markdown(study, compact=True).strip() in (PAGES / "anyloss.md").read_text()
    assert to_markdown(study) == (results / "anyloss.md").read_text()
    assert rank_plot(study) == (REPOSITORY / "docs" / "images" / "anyloss-ranks.svg").read_text()
    page = (REPOSITORY / "docs" / "anyloss-study.md").read_text()
    for block in study.blocks:
        network = {"slp": "linear", "mlp": "network"}[block.network]
        means = [f"{block.line(name).mean:.4f}"[1:] for name in ("bce", "bce_tuned", "anyloss")]
        duels = [f"{one.wins}-{one.ties}-{one.losses}" for one in block.line("anyloss").against if one is not None]
        name = {"f1": "F1", "g_mean": "G-mean"}.get(block.metric, block.metric.replace("_", " "))
        assert f"| {network}, {name} | {' | '.join([*means, *duels])} |" in page


def test_the_acceptance_page_holds_the_rows_of_the_study_and_the_level_holds() -> None:
    table = (REPOSITORY / "studies" / "results" / "acceptance_level.md").read_text()
    rows = [
        json.loads(line)
        for line in (REPOSITORY / "studies" / "results" / "acceptance_level.jsonl").read_text().splitlines()
    ]
    study = _study("acceptance_level")
    assert study.table(rows).splitlines()[3:] == table.splitlines()[3:]
    assert table[table.index("| metric") :].strip() in (PAGES / "acceptance.md").read_text()
    assert len(rows) == 12
    assert all(row["false"] <= study.limit(row["trials"]) for row in rows)


def test_the_page_of_default_adapters_holds_the_rows_of_the_study() -> None:
    study = _study("default_adapters")
    rows = [json.loads(line) for line in study.ROWS.read_text().splitlines()]
    table = study.table(rows)
    assert table[table.index("| family") :].strip() in (PAGES / "default-adapters.md").read_text()


def test_the_page_of_evolved_losses_holds_the_rows_of_the_study() -> None:
    study = _study("evolve")
    rows = ResultStore(study.ROWS).rows()
    text = study.summary(rows).strip()
    assert text in (PAGES / "evolve.md").read_text()
    by_task = {row["task"]: {one["seed"] for one in rows if one["task"] == row["task"]} for row in rows}
    assert len(by_task) >= 18 and all(len(seeds) >= 5 for seeds in by_task.values())
    keys = {study.key_of(row["task"], row["method"], row["seed"]).digest for row in rows}
    assert {row["key"] for row in rows} <= keys  # of the settings that stand in the study


@pytest.mark.parametrize(("name", "page"), [("limits", "results/limits.md"), ("own_loop", "recipes/own-loop.md")])
def test_a_page_says_what_the_rows_of_its_study_say(name: str, page: str) -> None:
    study = _study(name)
    rows = [json.loads(line) for line in study.ROWS.read_text().splitlines()]
    said = study.summary(rows).rstrip(".")
    text = (REPOSITORY / "docs" / page).read_text()
    assert said in text or said[0].lower() + said[1:] in text
    assert len({row["seed"] for row in rows}) >= 5


def test_what_is_said_of_slices_is_what_the_rows_say() -> None:
    study = _study("slices")
    rows = [json.loads(line) for line in study.ROWS.read_text().splitlines()]
    assert len(rows) == 9 * len(study.SEEDS) * len(study.CALLS) * len(study.WAYS)
    assert study.summary(rows) in (REPOSITORY / "docs" / "lab-notes.md").read_text()


@pytest.mark.parametrize(("name", "seeds"), [("detections", 5), ("blood", 2), ("positions", 6)])
def test_what_is_said_of_detections_is_what_the_rows_say(name: str, seeds: int) -> None:
    study = _study(name)
    rows = [json.loads(line) for line in study.ROWS.read_text().splitlines()]
    assert len({row["seed"] for row in rows if row.get("calls", 62) == 62}) >= seeds
    assert study.summary(rows) in (REPOSITORY / "docs" / "lab-notes.md").read_text()


def test_what_is_said_of_algorithm_1_with_its_step_tuned_is_what_the_rows_say() -> None:
    study = _study("paper_literal")
    rows = ResultStore(study.ROWS).rows()
    developed = len(study.DEVELOPED_ON) * len(study.STEPS)
    assert len(rows) == (developed + len(study.JUDGED_ON)) * len(study.FITS) * len(study.CALLS)
    assert study.summary(rows) in (PAGES / "arena.md").read_text()
