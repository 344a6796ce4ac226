"""The Python blocks of every page of the documentation run as they stand, page by page."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
#: Pages whose examples need more than the library have tests of their own.
ELSEWHERE = {"integrations.md"}
#: Recipes that take long run with --all.
LONG = {"costs.md", "detection.md", "images.md", "imbalance.md", "language-model.md", "ranking.md"}


def _blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


PAGES = [
    pytest.param(page, id=page.stem, marks=[pytest.mark.full] if page.name in LONG else [])
    for page in sorted(DOCS.rglob("*.md"))
    if _blocks(page) and page.name not in ELSEWHERE
]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "example.py"
    script.write_text("\n".join(_blocks(page)))
    with torch.random.fork_rng():
        runpy.run_path(str(script))


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"- ([\w/-]+\.md)", (DOCS.parent / "mkdocs.yml").read_text())
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
