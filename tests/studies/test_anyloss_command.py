"""`python -m studies anyloss` from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from metricopt.bench import failure_store
from metricopt.runtime import ResultStore
from studies.__main__ import app
from studies.anyloss import PRESETS, StudySpec, make_study
from studies.anyloss.contenders import CONTENDERS
from studies.anyloss.losses import LOSSES, StudyLoss
from studies.anyloss.measures import MEASURES
from studies.anyloss.print_study import to_markdown
from studies.anyloss.rank_plot import rank_plot
from studies.anyloss.spec import smoke

QUICK = ["--preset", "smoke", "--data", "wine", "--network", "slp", "--losses", "bce,anyloss_f1", "--workers", "0"]
SVG = "{http://www.w3.org/2000/svg}"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["anyloss", *map(str, arguments)])


@pytest.mark.full
def test_the_smoke_preset_from_end_to_end(tmp_path: Path) -> None:
    out, page, plot, readme = (tmp_path / name for name in ("rows.jsonl", "table.md", "ranks.svg", "README.md"))
    readme.write_text("# Page\n<!-- metricopt: anyloss -->\n<!-- metricopt: end of anyloss -->\n")
    arguments = (
        "--preset",
        "smoke",
        "--workers",
        "0",
        "--out",
        out,
        "--markdown",
        page,
        "--plot",
        plot,
        "--write",
        readme,
    )
    first = invoke(*arguments)
    assert first.exit_code == 0, first.output
    rows = ResultStore(out).rows()
    assert {row["key"] for row in rows} == {cell.key.digest for cell in smoke().cells()}
    for row in rows:
        for part in ("test", "tuned"):
            assert set(row[part]) == set(MEASURES)
            assert all(len(values) == 3 and all(0 <= v <= 1 for v in values) for values in row[part].values())
    text = page.read_text()
    for network in ("single-layer perceptron", "multi-layer perceptron, 16 hidden units"):
        for metric in ("accuracy", "F1", "G-mean", "balanced accuracy"):
            assert f"### {metric}, {network}, 3 data sets, CD " in text
            assert f"- {metric}, {network}: best mean rank " in text
    assert "missing so far" not in text
    assert all(entry.title in text for entry in LOSSES.values())
    assert "AnyLoss aimed at the metric, single-layer perceptron: wins-ties-losses" in readme.read_text()
    panels = ElementTree.fromstring(plot.read_text()).findall(f"{SVG}g")
    assert len(panels) == 8
    told = " ".join(element.text or "" for element in panels[0].iter(f"{SVG}text"))
    assert all(contender.title in told for contender in CONTENDERS.values())

    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = invoke(*arguments, "--no-run")
    assert (again.exit_code, again.output) == (0, first.output)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_stopped_runs_go_on_and_give_the_same_values(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    assert invoke(*QUICK, "--out", whole).exit_code == 0
    assert invoke(*QUICK, "--losses", "bce", "--out", parts).exit_code == 0
    kept = parts.read_bytes()
    assert invoke(*QUICK, "--workers", "1", "--out", parts).exit_code == 0  # in another process
    assert parts.read_bytes().startswith(kept)

    def values(path: Path) -> list[dict[str, Any]]:
        return [
            {k: v for k, v in row.items() if k not in ("seconds", "environment")} for row in ResultStore(path).rows()
        ]

    assert values(parts) == values(whole)


def test_printing_alone_runs_nothing(tmp_path: Path) -> None:
    done = invoke(*QUICK, "--no-run", "--out", tmp_path / "rows.jsonl")
    assert done.exit_code == 0, done.output
    assert "2 cells of this study are missing so far" in done.output
    assert list(tmp_path.iterdir()) == []


def test_tables_that_are_not_there_are_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICOPT_DATA", str(tmp_path))
    out = tmp_path / "rows.jsonl"
    done = invoke(*QUICK, "--data", "wine,sonar", "--losses", "bce", "--out", out)
    assert done.exit_code == 0, done.output
    assert "left out, since their files are not here: sonar" in done.stderr
    assert "Without sonar: their files are not here." in done.stdout
    assert [row["task"] for row in ResultStore(out).rows()] == ["wine"]


@pytest.fixture
def failing_loss() -> Iterator[str]:
    def fails(*_: object) -> Any:
        raise ArithmeticError("seven is not eight")

    LOSSES.add("fails", StudyLoss(title="fails", loss=fails))
    yield "fails"
    del LOSSES._items["fails"]


def test_a_failed_cell_is_told_at_the_end_and_in_the_exit_code(tmp_path: Path, failing_loss: str) -> None:
    out = tmp_path / "rows.jsonl"
    done = invoke(*QUICK, "--losses", f"bce,{failing_loss}", "--out", out)
    assert done.exit_code == 1
    assert "1 cells failed" in done.stderr
    assert "wine slp fails: ArithmeticError: seven is not eight" in done.stderr
    assert len(ResultStore(out).rows()) == len(failure_store(ResultStore(out)).rows()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--preset", "smok"], "did you mean 'smoke'?"),
        (["--data", "wne"], "did you mean 'wine'?"),
        (["--network", "mpl"], "did you mean 'mlp'?"),
        (["--losses", "anyloss_f2"], "did you mean 'anyloss_f1'?"),
        (["--losses", "bce,bce"], "losses of a study must be one or more different values"),
        (["--plot", "no/such/folder/ranks.svg"], "folder that exists"),
        (["--workers", "-1"], "0, which runs in this process"),
        (["--write", "/nowhere.md"], "/nowhere.md cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = invoke("--no-run", "--out", tmp_path / "rows.jsonl", *arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def made_up(spec: StudySpec, value: dict[str, float], tuned: dict[str, float]) -> list[dict[str, Any]]:
    """Rows as if every loss had the same values everywhere."""
    e = {"cpu": "none", "cores": 1, "system": "none", "python": "3", "torch": "2"}
    return [
        {
            "key": cell.key.digest,
            **cell.key.columns(),
            "test": {m: [value.get(cell.loss, 0.5)] * 3 for m in MEASURES},
            "tuned": {m: [tuned.get(cell.loss, 0.5)] * 3 for m in MEASURES},
            "seconds": 2.0 if cell.loss == "mse" else 1.0,
            "steps": 10,
            "environment": e,
            "version": "0",
        }
        for cell in spec.cells()
    ]


@pytest.mark.parametrize(
    ("value", "tuned", "verdict"),
    [
        ({}, {"bce": 0.9}, "BCE, tuned threshold: 0-0-12 on 12 data sets, a tuned threshold wins (P 1.00)"),
        ({"anyloss_f1": 0.9}, {"bce": 0.8}, "BCE, tuned threshold: 12-0-0 on 12 data sets, AnyLoss wins (P 1.00)"),
        ({}, {"bce": 0.505}, "BCE, tuned threshold: 0-12-0 on 12 data sets, practically the same (P 1.00)"),
    ],
)
def test_who_wins_is_said_in_words(value: dict[str, float], tuned: dict[str, float], verdict: str) -> None:
    names = tuple(PRESETS["full"]().data[:12])
    spec = replace(smoke(), data=names)
    study = make_study(spec, made_up(spec, value, tuned))
    text = to_markdown(study)
    assert verdict not in to_markdown(study, compact=True)  # a page with sentences of its own
    assert any("F1, single-layer" in line and verdict in line for line in text.splitlines())
    costs = {line.loss: (line.step_time, line.time) for line in study.crosses[0].lines}
    assert costs["mse"] == pytest.approx((2.0, 2.0))
    assert costs["anyloss_f1"] == pytest.approx((1.0, 1.0))


def test_every_label_of_the_plot_has_room() -> None:
    spec = replace(smoke(), data=tuple(PRESETS["full"]().data[:12]))
    plot = ElementTree.fromstring(rank_plot(make_study(spec, made_up(spec, {}, {"bce": 0.9}))))
    width = float(plot.attrib["width"])
    labels = [one for one in plot.iter() if one.tag.endswith("text") and "." in (one.text or "")]
    assert len(labels) > 7
    for label in labels:
        x, length = float(label.attrib["x"]), 6.7 * len(label.text or "")  # of a letter in this size, on average
        assert (x - length if label.attrib["text-anchor"] == "end" else width - x - length) > 0


def test_rows_of_other_settings_are_passed_over() -> None:
    spec = smoke()
    rows = made_up(replace(spec, folds=4), {}, {})
    study = make_study(spec, rows)
    assert (study.blocks, study.missing) == ((), 66)
    assert rank_plot(study).startswith("<svg")
