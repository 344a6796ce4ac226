"""The arena: rows that can be resumed, standings that are counted right, a page, and a command that checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from metricopt._errors import ConfigError, DataError
from metricopt.adapters import Film, OutputShift, attach
from metricopt.bench.arena import metrics as judges
from metricopt.bench.arena.materials import Columns, evened, last_block, table, thinned
from metricopt.bench.arena.page import anytime, markdown, picture
from metricopt.bench.arena.presets import CONTROLS, PRESETS, RIVALS, chosen_preset
from metricopt.bench.arena.problems import ARENA, DEVELOPMENT
from metricopt.bench.arena.run import OUTSIDE, ArenaRun, applies, bench, perform
from metricopt.bench.arena.standings import acceptance, best_known, calls_to_get_there, standings
from metricopt.cli.app import app
from metricopt.methods import METHODS
from metricopt.tasks.images import CifarResNet

METHODS_OF_ROWS = ("metricopt", "cma_es", "as_trained")


def row(problem: str, method: str, gain: float, *, seed: int = 0, calls: int = 20, **more: Any) -> dict[str, Any]:
    task, _, metric = problem.partition(":")
    known = {
        "task": task,
        "metric": metric,
        "method": method,
        "seed": seed,
        "settings": {"calls": calls},
        "applies": True,
        "gain": gain,
        "start": 0.5,
        "seconds": 1.0,
        "accepted": gain > 0.05,
        "judged": gain,
        "judged_error": 0.02,
    }
    return known | more


def some_rows() -> list[dict[str, Any]]:
    found = []
    for number in range(8):
        for seed in (0, 1):
            for calls, share in ((20, 0.5), (100, 1.0)):
                problem = f"p{number}:f1"
                found.append(row(problem, "metricopt", 0.2, seed=seed, calls=calls))
                found.append(row(problem, "cma_es", 0.2 * share - 0.01, seed=seed, calls=calls))
                found.append(row(problem, "as_trained", 0.0, seed=seed, calls=calls))
    return found


def test_ranks_fractions_and_leads() -> None:
    rows = some_rows()
    known = best_known(rows)
    assert known == {f"p{number}:f1": pytest.approx(0.2) for number in range(8)}
    found = standings(rows, calls=20, methods=METHODS_OF_ROWS, known=known)
    assert found is not None
    assert [line.method for line in found.lines] == ["metricopt", "cma_es", "as_trained"]
    assert [line.rank for line in found.lines] == [1.0, 2.0, 3.0]
    assert found.lines[0].fraction == pytest.approx(1.0)
    assert found.lines[1].fraction == pytest.approx(0.45)
    assert (found.lines[0].lead, found.lines[0].lead_high) == (-1.0, -1.0)
    assert found.wins["metricopt", "cma_es"] == 1.0
    assert found.seeds == 2 and len(found.problems) == 8
    assert found.critical == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 8)), abs=0.01)  # Demšar 2006, Table 5


def test_ties_share_a_rank_and_a_method_that_does_not_apply_gains_nothing() -> None:
    rows = [row("a:f1", "metricopt", 0.1), row("a:f1", "cma_es", 0.1), row("a:f1", "as_trained", 0.0, applies=False)]
    found = standings(rows, calls=20, methods=METHODS_OF_ROWS, known=best_known(rows))
    assert found is not None
    assert [line.rank for line in found.lines] == [1.5, 1.5, 3.0]
    assert standings(rows[:2], calls=20, methods=METHODS_OF_ROWS, known=best_known(rows)) is None


def test_a_problem_without_a_gap_counts_as_a_gap_of_a_hundredth() -> None:
    rows = [row("a:f1", "metricopt", 0.001), row("a:f1", "cma_es", -0.02), row("a:f1", "as_trained", 0.0)]
    found = standings(rows, calls=20, methods=METHODS_OF_ROWS, known=best_known(rows))
    assert found is not None
    assert {line.method: round(line.fraction, 3) for line in found.lines}["metricopt"] == 0.1
    assert {line.method: line.worse for line in found.lines}["cma_es"] == 1.0


def test_how_many_calls_it_takes_and_curves_over_calls() -> None:
    rows = some_rows()
    found = calls_to_get_there(rows, METHODS_OF_ROWS, best_known(rows))
    assert set(found["metricopt"].values()) == {20}
    assert set(found["cma_es"].values()) == {100}
    assert found["as_trained"] == {}
    curves = anytime(rows, METHODS_OF_ROWS, best_known(rows), (20, 100, 200))
    assert curves["cma_es"][:2] == pytest.approx([0.45, 0.95]) and np.isnan(curves["cma_es"][2])


def test_whether_acceptance_was_right() -> None:
    rows = [
        row("a:f1", "metricopt", 0.2),
        row("b:f1", "metricopt", -0.1, accepted=True),
        row("c:f1", "metricopt", 0.04, accepted=False, judged_error=0.01),
        row("d:f1", "cma_es", 0.2),
    ]
    found = acceptance(rows, "metricopt")
    assert (found.runs, found.accepted, found.accepted_worse, found.certain, found.found) == (3, 2, 1, 2, 0.5)


def test_the_page_and_its_picture() -> None:
    rows = some_rows()
    text = markdown(rows, METHODS_OF_ROWS, ("untrained_scores",))
    assert "| MetricOpt | 1.00 | ahead of the second by 1.00" in text
    assert "### Calls to 95 % of the best known gain" in text
    assert "| CMA-ES | 8 | 100 | 100 / 20 (8 problems) |" in text
    svg = picture(rows, METHODS_OF_ROWS)
    assert svg.startswith("<svg") and "MetricOpt 1.00" in svg


# --- runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["as_trained", "example_weighting", "surrogate", "whole_network", "metricopt"])
def test_a_row_says_what_came_of_a_run(method: str) -> None:
    run = ArenaRun(problem="digits_tail:macro_f1", method=method, seed=0, calls=12)
    found = perform(run)
    assert found["applies"] and 0 <= found["calls"] <= 12
    assert found["gain"] == pytest.approx(found["test"] - found["start"])
    if method == "as_trained":
        assert (found["gain"], found["judged"], found["accepted"]) == (0.0, 0.0, False)
    again = perform(run)
    assert {key: value for key, value in again.items() if key != "seconds"} == {
        key: value for key, value in found.items() if key != "seconds"
    }


def test_what_does_not_apply_says_so() -> None:
    assert perform(ArenaRun(problem="diabetes:stock", method="example_weighting", seed=0, calls=12)) == {
        "applies": False
    }
    assert not applies(ARENA["diabetes:stock"], "example_weighting", "values")
    assert applies(ARENA["diabetes:stock"], "whole_network", "values")


def test_the_same_base_is_built_once_and_methods_get_their_adapters() -> None:
    here = bench("digits_tail", 0)
    assert here is bench("digits_tail", 0)
    shift, shifted, paper = (here.workload(name) for name in ("shift", "shifted", "paper"))
    assert [slot.role for slot in shift.spec.slots] == ["shift", "temperature"]
    assert not paper.spec.with_role("shift")
    assert shifted.spec.with_role("shift")
    assert here.workload("shift") is shift


def test_every_key_is_its_own_and_development_is_apart() -> None:
    runs = list(PRESETS["smoke"].runs()) + list(PRESETS["quick"].runs())
    assert len({run.key.digest for run in runs}) == len(runs)
    assert not set(ARENA) & set(DEVELOPMENT)
    assert not {one.base for one in ARENA.values()} & {one.base for one in DEVELOPMENT.values()}
    assert all(name in METHODS or name in OUTSIDE for name in (*RIVALS, *CONTROLS))


def test_presets_take_other_choices_and_name_what_is_unknown() -> None:
    chosen = chosen_preset("quick", problems=("drift:worst_group",), methods=None, seeds=(3,), calls=(10,))
    assert {(run.problem, run.seed, run.calls) for run in chosen.runs()} == {("drift:worst_group", 3, 10)}
    with pytest.raises(ConfigError, match="did you mean"):
        chosen_preset("quick", problems=("drift:worst_grup",), methods=None, seeds=None, calls=None)
    with pytest.raises(ConfigError, match="no method"):
        chosen_preset("quick", problems=None, methods=("metricoptt",), seeds=None, calls=None)


def test_the_command_resumes_and_checks(tmp_path: Path) -> None:
    out, page = tmp_path / "arena.jsonl", tmp_path / "arena.md"
    options = ["bench", "arena", "--problems", "digits_tail:worst_recall", "--methods", "as_trained,random_search"]
    options += ["--seeds", "0", "--calls", "10", "--workers", "0", "--out", str(out)]
    first = CliRunner().invoke(app, [*options, "--markdown", str(page)])
    assert first.exit_code == 0, first.output
    assert len(out.read_text().splitlines()) == 2
    assert page.read_text() in first.output
    assert page.with_suffix(".svg").read_text().startswith("<svg")
    again = CliRunner().invoke(app, [*options, "--check"])
    assert len(out.read_text().splitlines()) == 2
    assert again.exit_code == 1
    assert "MetricOpt is not first" in again.output


# --- materials and metrics ----------------------------------------------------------------------------------------


def test_training_rows_thin_out_or_are_evened() -> None:
    y = torch.arange(4).repeat_interleave(200)
    counts = torch.bincount(y[thinned(torch.randperm(800), y, 20.0)])
    assert counts.tolist()[0] == 200 and counts.tolist()[-1] == 10
    assert bool((counts.diff() < 0).all())
    rows = torch.cat([torch.arange(300), torch.arange(400, 420)])
    assert len(evened(rows, y, torch.Generator().manual_seed(0))) == 3 * 20


def test_rows_of_the_three_parts_are_apart_and_regression_is_in_units() -> None:
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    made = table(lambda: Columns(x=x, y=100 + 20 * x[:, 0]), key="apart", outputs="values", seed=0, epochs=40)
    sizes = [len(part.y) for part in (made.train, made.search, made.test)]
    assert sizes == [200, 80, 120]
    with torch.no_grad():
        assert float((made.model(made.test.x)[:, 0] - made.test.y).abs().mean()) < 10
    values = torch.cat([part.y for part in (made.train, made.search, made.test)])
    assert len(values.unique()) == 400


def test_missing_files_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METRICOPT_DATA", str(tmp_path))
    monkeypatch.setenv("METRICOPT_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="METRICOPT_DATA"):
        ARENA["magic:f2"].build(0)
    with pytest.raises(DataError, match="cifar-10-batches-bin"):
        ARENA["cifar_tail:accuracy"].build(0)


@pytest.mark.parametrize("depth", [20, 32])
def test_phi_of_a_published_net_is_in_its_last_block(depth: int) -> None:
    net = CifarResNet(depth).eval()
    adapted = attach(net, [Film(), OutputShift()], where={"film": last_block(depth)}, probe=torch.zeros(2, 3, 32, 32))
    assert {slot.name.split(".film")[0].rpartition(".")[0] for slot in adapted.spec.slots if "film" in slot.name} == {
        last_block(depth).removesuffix(".*")
    }
    assert adapted.splits


def test_judges_are_what_they_say() -> None:
    about = torch.zeros(6, 1)
    scores, y = torch.tensor([3.0, 2.0, 1.0, -1.0, -2.0, -3.0]), torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    assert judges.f2(scores, y, about) == pytest.approx(5 * 2 / (5 * 2 + 4 * 1 + 1))
    assert judges.mcc(scores, y, about) == pytest.approx(0.5 + 0.5 * (2 * 2 - 1) / 9)
    assert judges.g_mean(scores, y, about) == pytest.approx(2 / 3)
    assert judges.average_precision(scores, y, about) == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert judges.cost(scores, y, about) == pytest.approx(1 - 7 / 18)
    assert judges.queue(scores, y, about) == pytest.approx((2 - 0.3) / 3)
    classes = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 1])]
    labels = torch.tensor([0, 1, 2, 1, 1, 2])
    assert judges.worst_recall(classes, labels, about) == 0.5
    assert judges.accuracy(classes, labels, about) == pytest.approx(4 / 6)
    assert judges.multi_g_mean(classes, labels, about) == pytest.approx((1 * 2 / 3 * 1 / 2) ** (1 / 3))
    assert judges.within_tenth(torch.tensor([1.05, 2.5]), torch.tensor([1.0, 2.0]), about) == 0.5
    worth = [judges.stock(torch.tensor([1.0, 2.0]) + error, torch.tensor([1.0, 2.0]), about) for error in (0.1, -0.1)]
    assert 1 > worth[0] > worth[1]
