"""The page: every picture of a report, laid out as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from .. import __version__
from ..runtime import write_atomically
from .answer import answer, sentence
from .figure import Absent, Figure
from .figures import figures_of
from .report_data import ReportData
from .svg import elided, printable
from .wording import Wording


def render(report_data: ReportData) -> str:
    """A report: one self-contained HTML page.

    Everything that came from a user is escaped, nothing is fetched, and no script runs but the page's own.

    >>> report_data = ReportData(title="<b>Adult</b>", metric="f1", higher_is_better=True, bounds=(0, 1), before=0.65,
    ...     after=0.68, low=0.01, high=0.05, confidence=0.95, accepted=True, reason="Zero is excluded.", verified=True,
    ...     calls=200, seconds=12.5)
    >>> page = render(report_data)
    >>> "<h1>&lt;b&gt;Adult&lt;/b&gt;</h1>" in page, "f1 rises from 0.650 to 0.680" in page
    (True, True)
    """
    words = Wording(report_data)
    return _laid_out(
        title=report_data.title,
        sentence=sentence(report_data),
        drawn=[draw(report_data) for draw in figures_of(report_data)],
        facts=report_data.facts,
        answer=answer(report_data),
        metric=words.metric,
        direction=words.direction,
    )


def render_figures(
    title: str, sentence: str, figures: Sequence[Figure], facts: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A page of figures alone, for what is no single run."""
    return _laid_out(title=title, sentence=sentence, drawn=figures, facts=facts, answer=None, metric="", direction="")


def _laid_out(
    *, title: str, sentence: str, drawn: Sequence[Figure | Absent | None], facts: Mapping[str, str], **answered: Any
) -> str:
    from jinja2 import Environment, StrictUndefined  # costs a start of the command line 30 ms

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    css, script = _asset("page.css"), _asset("page.js")
    page = environment.from_string(_asset("page.html.jinja")).render(
        title=elided(title, 160) or "metricopt report",
        sentence=sentence,
        rows=_rows([each for each in drawn if isinstance(each, Figure)]),
        absent=_reasons([each for each in drawn if isinstance(each, Absent)]),
        facts=facts,
        version=__version__,
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        **answered,
    )
    return printable(page)


def write(report_data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Write a report to `path`, in one step: never half a page.

    Args:
        report_data: what is shown.
        path: by custom `report.html`; missing folders are made.

    Returns: the path.
    """
    write_atomically(path, render(report_data).encode())
    return Path(path)


def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _policy(css: str, script: str) -> str:
    """What the browser may do: this style sheet, this script, pictures that the page itself makes, no more."""
    return (
        f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _rows(figures: Sequence[Figure]) -> list[tuple[Figure, ...]]:
    """Figures in order; two halves that follow each other share a row."""
    rows: list[tuple[Figure, ...]] = []
    for figure in figures:
        if figure.half and rows and len(rows[-1]) == 1 and rows[-1][0].half:
            rows[-1] = (*rows[-1], figure)
        else:
            rows.append((figure,))
    return rows


def _reasons(absent: Sequence[Absent]) -> list[Absent]:
    """One line for each reason: pictures that lack the same thing are named together."""
    by_reason: dict[str, list[str]] = {}
    for each in absent:
        by_reason.setdefault(each.why, []).append(each.title)
    return [Absent(", ".join(titles), why) for why, titles in by_reason.items()]
