"""What a finished job on a table has to say, as plain data in `summary.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

from ..._errors import CheckpointError
from ..._typed import MAY_LACK, Count, Least, Typed, from_plain, to_plain
from ...report import Term
from ...runtime import read_sealed, write_sealed

_FILE = "summary.json"
_KIND, _VERSION = "table job", 1


@final
@dataclass(frozen=True, kw_only=True)
class Figures(Typed):
    """The metric before and after on one part of the rows.

    Args:
        rows: how many.
        before, after: the metric, as it is.
        low, high: the interval of the gain, positive is better; both 0 where the model stayed as it was.
    """

    rows: Annotated[int, Least(1)]
    before: float
    after: float
    low: float
    high: float


@final
@dataclass(frozen=True, kw_only=True)
class TableSummary(Typed):
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
    calls: Count
    test_calls: Count
    seconds: float
    notes: tuple[str, ...]
    reading: str = field(default="", metadata=MAY_LACK)  # summaries of before had none of these
    terms: tuple[Term, ...] = field(default=(), metadata=MAY_LACK)
    verified: bool = field(default=True, metadata=MAY_LACK)

    def save(self, folder: Path) -> None:
        """Write it; a folder that has it is finished."""
        write_sealed(folder / _FILE, {"kind": _KIND, "version": _VERSION, **to_plain(self)})

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
        return from_plain(cls, found, f"summary in {path}")


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a finished job on a table."""
    return (folder / _FILE).exists()
