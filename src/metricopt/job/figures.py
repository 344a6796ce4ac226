"""The figures of a result as its folder keeps them: sealed, and with digests of the files beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from .._errors import CheckpointError
from .._typed import Count, NotNegative, Number, Typed, from_plain, to_plain
from ..report import ReportData
from ..runtime import digest_of_file, read_sealed, read_whole, write_sealed


@dataclass(frozen=True, kw_only=True)
class _OfResult(Typed):
    """Those that the result itself has."""

    accepted: bool
    reason: str
    before: Number
    after: Number
    interval: tuple[Number, Number] | None
    expected_gain: Number
    confidence: float
    calls: Count
    seconds: NotNegative
    metric: str
    higher_is_better: bool


@dataclass(frozen=True, kw_only=True)
class Figures(_OfResult):
    """What stands in `outcome.json` and `evolved.json`.

    Args:
        value: of an outcome, whether a value function lies beside; of an evolved loss, the metric on the search part.
        files: digests by name.
        kind, version: of the file.
    """

    value: bool | float
    files: dict[str, str]
    kind: str
    version: int

    @classmethod
    def write(cls, result: Any, path: Path, *, kind: str, value: bool | float, files: Sequence[str]) -> None:
        """Write those of a result last: a folder that has them is whole. Raises WriteFailed."""
        digests = {name: digest_of_file(path.parent / name) for name in files}
        found = cls(**_of_result(result), value=value, files=digests, kind=kind, version=1)
        write_sealed(path, to_plain(found))

    @classmethod
    def read(cls, path: Path, *, kind: str, value: type, files: Sequence[str]) -> Self:
        """What `write` wrote, if the files beside are those of then.

        Raises:
            FileNotFoundError: there are none.
            CheckpointError: they are damaged, or another file was changed.
        """
        found = from_plain(cls, read_sealed(path), f"result in {path}")
        if (found.kind, found.version, type(found.value)) != (kind, 1, value):
            raise CheckpointError(f"{path} holds no {kind} of this version. Run it again.")
        for name in files:
            if digest_of_file(path.parent / name) != found.files.get(name):
                raise CheckpointError(
                    f"{path.parent / name} is not the file that was saved with {path.name}: it was changed, or saving "
                    "was stopped half-way. Save it again, or run the same command again to finish it."
                )
        return found

    def of_result(self) -> dict[str, Any]:
        """Those that the result itself has."""
        return _of_result(self)


def _of_result(one: Any) -> dict[str, Any]:
    return {each.name: getattr(one, each.name) for each in fields(_OfResult)}


def read_report_data(path: Path) -> ReportData:
    """The data of a report that lie in a folder. Raises CheckpointError."""
    try:
        return ReportData.from_json(read_whole(path).decode())
    except (UnicodeDecodeError, CheckpointError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
