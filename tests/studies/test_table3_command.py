"""`python -m studies table3` from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from metricopt.runtime import ResultStore
from studies.__main__ import app
from studies.table3 import smoke


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["table3", *map(str, arguments)])


@pytest.mark.full
def test_the_smoke_preset_from_end_to_end(tmp_path: Path) -> None:
    out, page, readme = tmp_path / "rows.jsonl", tmp_path / "table.md", tmp_path / "README.md"
    readme.write_text("# Page\n<!-- metricopt: table3 -->\n<!-- metricopt: end of table3 -->\n")
    first = invoke("--preset", "smoke", "--out", out, "--markdown", page, "--write", readme)
    assert first.exit_code == 0, first.output
    store = ResultStore(out)
    assert {row["key"] for row in store.rows()} == {run.key.digest for run in smoke().runs()}
    assert all(row["calls"] <= smoke().calls for row in store.rows())
    text = page.read_text()
    for task in ("synthetic-balanced", "breast_cancer-balanced"):
        for metric in ("MCR, lower", "F1, higher", 'accuracy (the paper\'s "JAC"), higher'):
            assert f"### {task}: {metric} is better" in text
    assert "missing so far" not in text
    assert "**synthetic-balanced, seeds: 2" in readme.read_text()
    before = out.read_bytes(), text, readme.read_text()
    again = invoke("--preset", "smoke", "--out", out, "--markdown", page, "--write", readme)
    assert again.exit_code == 0
    assert again.output == first.output
    assert (out.read_bytes(), page.read_text(), readme.read_text()) == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--preset", "smok"], "did you mean 'smoke'?"), (["--write", "/nowhere.md"], "/nowhere.md cannot be read")],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = invoke("--no-run", "--out", tmp_path / "rows.jsonl", *arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
