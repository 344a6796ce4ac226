"""A block of a larger file is rewritten in place, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from metricopt._errors import ConfigError
from metricopt.bench.printed import rewrite_block

BEGIN, END = "<!-- metricopt: table3 -->", "<!-- metricopt: end of table3 -->"


def test_rewriting_twice_changes_nothing_more(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert rewrite_block(file, "table3", "| new |\n")
    once = file.read_text()
    assert once == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n"
    assert not rewrite_block(file, "table3", "| new |\n")
    assert file.read_text() == once


def test_other_blocks_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    other = "<!-- metricopt: ablation -->\nkeep\n<!-- metricopt: end of ablation -->\n"
    file.write_text(f"{other}{BEGIN}{END}\n")
    rewrite_block(file, "table3", "new")
    assert file.read_text() == f"{other}{BEGIN}\n\nnew\n\n{END}\n"


@pytest.mark.parametrize(
    "text", ["no marks\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n", f"{BEGIN}{END}{END}"]
)
def test_a_file_without_a_place_for_it_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(text)
    with pytest.raises(ConfigError, match="must hold <!-- metricopt: table3 -->"):
        rewrite_block(file, "table3", "new")
    assert file.read_text() == text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere.md cannot be read"):
        rewrite_block(tmp_path / "nowhere.md", "table3", "new")
