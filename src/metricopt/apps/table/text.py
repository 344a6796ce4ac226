"""How a text file spells a table: encoding, separator, decimal sign and the names in its first line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, final

from ..._errors import ConfigError, DataError
from ...runtime import Advance

#: How much of a file is looked at to find out how it is written.
_SAMPLE = 1 << 16
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BY_NAME = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_DECIMAL_POINT = re.compile(r"-?\d+\.\d+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@final
@dataclass(frozen=True, kw_only=True)
class TextFormat:
    """How to read one file.

    Args:
        encoding, separator, decimal: as pandas wants them.
        names: of the columns, "" where there is none.
        gzipped: whether the file is compressed.
        notes: what is unusual, a sentence each.
    """

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    gzipped: bool
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The separator in words."""
        return _SEPARATORS.get(self.separator, repr(self.separator))

    def undecodable(self, path: Path) -> DataError:
        """The error for a file whose bytes are not text of this encoding; it names the first such line."""
        wide = self.encoding.startswith(("utf-16", "utf-32"))  # their lines do not end where a byte says so
        with _opened(path, self.gzipped) as stream:
            for number, line in enumerate(() if wide else stream, start=1):
                try:
                    line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    byte = line[min(error.start, len(line) - 1)]
                    return DataError(
                        f"line {number} of {path.name} is not {self.encoding} text (byte 0x{byte:02x}); give its "
                        "encoding, for example --encoding cp1252 for a file from Windows"
                    )
        return DataError(f"{path.name} is not {self.encoding} text; leave --encoding out, or give the right one")


def sniff(path: Path, start: bytes, *, separator: str | None, encoding: str | None) -> TextFormat:
    """Find out how a file is written; what is given is taken as given.

    Raises:
        DataError: not a text file, no names in its first line, or a single column.
        ConfigError: an encoding or a separator that does not exist.
    """
    gzipped = start.startswith(b"\x1f\x8b")
    given = None if separator is None else _given_separator(separator)
    sample = _sample(path, gzipped)
    chosen = _encoding(sample, encoding)
    if b"\x00" in sample and not chosen.startswith(("utf-16", "utf-32")):
        raise DataError(f"{str(path)!r} is a binary file, not a table; give a CSV or Parquet file")
    try:
        # An incremental decoder keeps a character that the end of the sample cuts in two.
        text = codecs.getincrementaldecoder(chosen)().decode(sample)
    except UnicodeError as error:  # also a UTF-16 file without its first two bytes
        if encoding is None and _is_binary(sample):
            raise DataError(f"{str(path)!r} is a binary file, not a table; give a CSV or Parquet file") from error
        form = TextFormat(encoding=chosen, separator=",", decimal=".", names=(), gzipped=gzipped)
        raise form.undecodable(path) from error
    rows = _rows(text, whole=len(sample) < _SAMPLE)
    by = given or _likeliest(rows)
    names, cells = _header(rows, by, path, given=given is not None)
    commas = by != "," and _speaks_decimal_comma(cells)
    notes = [] if by == "," or given else [f"The columns are separated by {_SEPARATORS[by]}."]
    notes += ["Numbers have a decimal comma."] if commas else []
    return TextFormat(
        encoding=chosen,
        separator=by,
        decimal="," if commas else ".",
        names=names,
        gzipped=gzipped,
        notes=tuple(notes),
    )


def counted(path: Path, advance: Advance, *, gzipped: bool) -> IO[bytes]:
    """The bytes of a file; `advance` hears of every hundredth that was read."""
    raw = io.BufferedReader(_Counted(path, advance), buffer_size=1 << 20)
    return gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[return-value]


class _Counted(io.RawIOBase):
    def __init__(self, path: Path, advance: Advance) -> None:
        super().__init__()
        self._stream = path.open("rb", buffering=0)
        self._size = max(path.stat().st_size, 1)
        self._advance = advance
        self._read = self._told = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._stream.readinto(buffer) or 0
        self._read += count
        share = 100 * self._read // self._size
        if share > self._told:
            self._advance(share - self._told)
            self._told = share
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _opened(path: Path, gzipped: bool) -> IO[bytes]:
    return gzip.open(path, "rb") if gzipped else path.open("rb")  # type: ignore[return-value]


def _sample(path: Path, gzipped: bool) -> bytes:
    try:
        with _opened(path, gzipped) as stream:
            return stream.read(_SAMPLE)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r} is a damaged gzip file: {error}; compress it again") from error


def _encoding(sample: bytes, given: str | None) -> str:
    if given is not None:
        try:
            return codecs.lookup(given).name
        except LookupError:
            raise ConfigError(f"there is no encoding {given!r}; try utf-8, cp1252, latin-1 or utf-16") from None
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if sample.startswith(codecs.BOM_UTF8) else "utf-8"


def _is_binary(sample: bytes) -> bool:
    """Text has no control characters beside blanks and ends of lines, whatever its encoding."""
    strange = sum(byte < 32 and byte not in b"\t\n\r\f\x1a\x1b" for byte in sample)
    return strange > 0.01 * len(sample)


def _given_separator(separator: str) -> str:
    chosen = _BY_NAME.get(separator.lower(), separator)
    if len(chosen) != 1 or chosen in "\r\n\"'":
        raise ConfigError(f"--separator must be one character, or one of {', '.join(_BY_NAME)}; got {separator!r}")
    return chosen


def _rows(text: str, *, whole: bool) -> list[str]:
    """The lines of the sample that are complete and not blank."""
    lines = text.splitlines()
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    return [line for line in lines if line.strip()]


def _cells(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"the first lines cannot be read as a table: {error}; save it as CSV again") from error


def _likeliest(lines: list[str]) -> str:
    """The separator that cuts most lines into as many cells as the first one; of equals the one with more columns."""

    def fits(separator: str) -> tuple[bool, float, int]:
        counts = [len(row) for row in _cells(lines[:200], separator)] or [0]
        same = sum(count == counts[0] for count in counts) / len(counts)
        return counts[0] > 1, round(same, 1), counts[0]

    return max(_SEPARATORS, key=fits)


def _header(lines: list[str], separator: str, path: Path, *, given: bool) -> tuple[tuple[str, ...], list[list[str]]]:
    """The names in the first line, and the cells of the rows behind it."""
    if not lines:
        raise DataError(f"{str(path)!r} holds blank lines only; give a table with a line of column names and rows")
    header, *cells = _cells(lines, separator)
    names = tuple(name.strip() for name in header)
    if len(names) < 2:
        by = f"{separator!r}" if given else "comma, semicolon, tab or bar"
        raise DataError(
            f"{path.name} has a single column when it is cut by {by}; name what separates its columns with "
            "--separator, or give a table with at least a target and one other column"
        )
    if _looks_like_data(names):
        raise DataError(
            f"the first line of {path.name} must name the columns, but it holds {', '.join(names[:4])}"
            f"{', ...' if len(names) > 4 else ''}; put a line of names above it"
        )
    return names, cells


def _looks_like_data(names: tuple[str, ...]) -> bool:
    """Mostly numbers; but 0, 1, 2, ... are names, as pandas gives them to columns that have none."""
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    if 2 * len(numbers) <= len(names):
        return False
    return not all(int(b) - int(a) == 1 if (a + b).isdigit() else False for a, b in pairwise(numbers))


def _speaks_decimal_comma(rows: list[list[str]]) -> bool:
    cells = [cell.strip() for row in rows[:200] for cell in row]
    return any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any(map(_DECIMAL_POINT.fullmatch, cells))
