"""What a finished job on a table has to say, as plain data in `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from ..._errors import CheckpointError, ConfigError
from ...report import Term
from ...runtime import read_sealed, write_sealed
from .model.settings_fields import Fields

_FILE = "summary.json"
_KIND, _VERSION = "table job", 1


@final
@dataclass(frozen=True, kw_only=True)
class Figures:
    """The metric before and after on one part of the rows.

    Args:
        rows: how many.
        before, after: the metric, as it is.
        low, high: the interval of the gain, positive is better; both 0 where the model stayed as it was.
    """

    rows: int
    before: float
    after: float
    low: float
    high: float


@final
@dataclass(frozen=True, kw_only=True)
class TableSummary:
    """The result of a job on a table.

    Args:
        source: name of the file.
        target: name of the column; task: "classification" or "regression".
        classes: as text, in the order of the scores; empty in a regression.
        positive: the class that counts as positive where there are two.
        metric: what it is called; higher_is_better: its direction.
        accepted: whether the model was changed; reason: why, one sentence.
        proposal: what proposed the change, in words; None where nothing did.
        confidence: of the intervals.
        acceptance: on rows that the search never saw: they decided. test: on rows that nothing ever saw, None without.
        calls: metric calls of search and acceptance test. test_calls: those on the test rows.
        seconds: of search, acceptance test and test.
        notes: what was noticed on the way.
        reading: what the metric turned out to reward, in words; empty where that was not learned.
        verified: whether there was an acceptance test; without one `acceptance` is of the rows that the search saw.
        terms: objective and limits of a constrained metric, on test rows, without them on the acceptance rows.
    """

    source: str
    target: str
    task: str
    classes: tuple[str, ...]
    positive: str | None
    metric: str
    higher_is_better: bool
    accepted: bool
    reason: str
    proposal: str | None
    confidence: float
    acceptance: Figures
    test: Figures | None
    calls: int
    test_calls: int
    seconds: float
    notes: tuple[str, ...]
    reading: str = ""
    terms: tuple[Term, ...] = ()
    verified: bool = True

    def save(self, folder: Path) -> None:
        """Write it; a folder that has it is finished."""
        write_sealed(folder / _FILE, {"kind": _KIND, "version": _VERSION, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> TableSummary:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: the folder has none: the run is not finished, or is no job on a table.
            CheckpointError: it is damaged.
        """
        path = folder / _FILE
        found = read_sealed(path)
        if (found.pop("kind", None), found.pop("version", None)) != (_KIND, _VERSION):
            raise CheckpointError(f"{str(path)!r} is not the summary of a job on a table of this version. Begin anew.")
        terms = found.pop("terms", [])  # summaries of before had none
        known = {**found, "terms": terms, "verified": found.get("verified", True)}
        fields = Fields(known, str(path), tuple(cls.__dataclass_fields__))
        return cls(
            source=fields.text("source"),
            target=fields.text("target"),
            task=fields.text("task"),
            metric=fields.text("metric"),
            reason=fields.text("reason"),
            higher_is_better=fields.flag("higher_is_better"),
            accepted=fields.flag("accepted"),
            calls=fields.integer("calls", least=0),
            test_calls=fields.integer("test_calls", least=0),
            classes=fields.texts("classes"),
            positive=None if fields.value("positive") is None else fields.text("positive"),
            proposal=None if fields.value("proposal") is None else fields.text("proposal"),
            confidence=fields.number("confidence"),
            acceptance=_figures(fields.value("acceptance"), path),
            test=None if fields.value("test") is None else _figures(fields.value("test"), path),
            seconds=fields.number("seconds"),
            notes=fields.texts("notes"),
            reading=fields.text("reading"),
            terms=_terms(terms, path),
            verified=fields.flag("verified"),
        )


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a finished job on a table."""
    return (folder / _FILE).exists()


def _figures(value: object, path: Path) -> Figures:
    fields = Fields(value if isinstance(value, Mapping) else None, f"figures in {path}", tuple(_FIGURES))
    return Figures(
        rows=fields.integer("rows", least=1),
        before=fields.number("before"),
        after=fields.number("after"),
        low=fields.number("low"),
        high=fields.number("high"),
    )


_FIGURES = Figures.__dataclass_fields__


def _terms(value: object, path: Path) -> tuple[Term, ...]:
    try:
        return tuple(Term(**one) for one in value)  # type: ignore[attr-defined]
    except (TypeError, ConfigError) as error:
        raise CheckpointError(f"terms in {path} are none: {error}. Begin anew.") from error
