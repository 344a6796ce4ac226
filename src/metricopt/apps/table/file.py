"""A table in a file as a DataFrame: CSV with any usual separator, or Parquet; every mistake is told in one line."""

from __future__ import annotations

import difflib
import hashlib
import re
import warnings
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from ..._errors import DataError
from ..._extras import require
from ...runtime import progress
from .text import TextFormat, counted, sniff

_PARQUET = (".parquet", ".pq")
_MAGIC = {
    b"PAR1": "",
    b"PK\x03\x04": "an Excel sheet or a zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel sheet",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"\x80\x04\x95": "a Python pickle, which is never opened here",
    b"\x80\x05\x95": "a Python pickle, which is never opened here",
    b"%PDF": "a PDF",
}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
#: Beside what pandas takes for a missing value.
_MISSING = ["?"]


@final
@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table as it was read.

    Args:
        frame: the DataFrame.
        digest: sixteen hex digits over the bytes of the file.
        notes: what was noticed on the way, a sentence each.
    """

    frame: Any = field(repr=False)
    digest: str
    notes: tuple[str, ...] = ()


def read_table(
    path: Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    as_text: Collection[str] = (),
    strict: bool = False,
    quiet: bool = True,
) -> TableFile:
    """Read a CSV (also gzipped, also separated by semicolons, tabs or bars) or a Parquet file.

    Blank cells, `NA`, `null`, `?` and the like are missing values. Columns of ISO dates become dates.

    Args:
        path: the file.
        separator: between the columns; None finds out.
        encoding: of the text; None means UTF-8, or UTF-16 where the file says so.
        as_text: columns that stay text whatever they look like.
        strict: refuse a column of numbers with a few cells that are none; else these count as missing, with a note.
        quiet: no progress bar.

    Raises:
        DataError: the file is missing, empty, not a table, or two columns have one name.
        MissingExtra: a Parquet file, and pyarrow is not installed.
    """
    start = _first_bytes(path)
    kind = next((told for magic, told in _MAGIC.items() if start.startswith(magic)), None)
    if kind:
        raise DataError(f"{str(path)!r} is {kind}, not a table that can be read here; save it as CSV or Parquet")
    digest = _digest(path)
    if kind == "" or path.suffix.lower() in _PARQUET:
        frame, notes = _parquet(path, start), []
    else:
        form = sniff(path, start, separator=separator, encoding=encoding)
        frame, notes = _csv(path, form, as_text, quiet=quiet), list(form.notes)
        frame, more = _tidied(frame, as_text)
        notes += [*more, *_numbers_at_last(frame, as_text, form.decimal, strict=strict, path=path)]
    if len(frame) == 0:
        raise DataError(f"{str(path)!r} names {len(frame.columns)} columns and holds no row; give a table with rows")
    return TableFile(frame=frame, digest=digest, notes=tuple(notes))


def column_names(path: Path, *, separator: str | None = None, encoding: str | None = None) -> tuple[str, ...]:
    """The names of the columns, without reading the rows. Raises DataError as `read_table` does."""
    start = _first_bytes(path)
    if start.startswith(b"PAR1"):
        parquet = require("pyarrow.parquet", extra="parquet", purpose="reading a Parquet file")
        return tuple(parquet.read_schema(path).names)
    return tuple(name for name in sniff(path, start, separator=separator, encoding=encoding).names if name)


def find_column(name: str, names: Sequence[str], what: str, file: Path) -> str:
    """`name` if it is a column; else DataError with the one that was meant."""
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1) or [one for one in names if one.lower() == name.lower()]
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    hint = f"did you mean {close[0]!r}? It has" if close else "it has"
    raise DataError(f"{what} {name!r} is not in {file.name}; {hint}: {shown}")


def _first_bytes(path: Path) -> bytes:
    """The beginning of the file; DataError with the reason where there is none."""
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".gz", *_PARQUET))
        hint = f", for example {str(path / inside[0])!r}" if inside else ""
        raise DataError(f"{str(path)!r} is a folder; give a CSV or Parquet file{hint}")
    if not path.exists():
        raise DataError(_no_file(path))
    if not path.is_file():
        raise DataError(f"{str(path)!r} is not a regular file; save the table as a CSV or Parquet file")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror}; look at its permissions") from error
    if not start:
        raise DataError(f"{str(path)!r} is empty; give a table with a line of column names and rows")
    return start


def _no_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"no file {str(path)!r}: there is no folder {str(path.parent)!r}; correct the path"
    there = [p.name for p in path.parent.iterdir() if p.is_file() and not p.name.startswith(".")]
    close = difflib.get_close_matches(path.name, there, n=1)
    hint = f"did you mean {str(path.with_name(close[0]))!r}?" if close else "correct the path"
    return f"no file {str(path)!r}; {hint}"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _parquet(path: Path, start: bytes) -> Any:
    if not start.startswith(b"PAR1"):
        raise DataError(f"{str(path)!r} is not a Parquet file, whatever its name says; rename it if it is a CSV")
    pyarrow = require("pyarrow", extra="parquet", purpose="reading a Parquet file")
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(f"{str(path)!r} is a damaged Parquet file: {_one_line(error)}; write it again") from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    _refuse_twins(list(frame.columns), path)
    return frame.reset_index(drop=True)


def _csv(path: Path, form: TextFormat, as_text: Collection[str], *, quiet: bool) -> Any:
    import pandas as pd

    names = [name or f"column {at}" for at, name in enumerate(form.names, start=1)]
    _refuse_twins(names, path)
    with progress(100, f"reading {path.name}", quiet=quiet) as advance, warnings.catch_warnings():
        # A row that is longer than the first line would lose its last cells.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                counted(path, advance, gzipped=form.gzipped),
                sep=form.separator,
                encoding=form.encoding,
                decimal=form.decimal,
                header=0,
                names=names,
                index_col=False,
                dtype={name: str for name in names if name in as_text},
                na_values=_MISSING,
                skipinitialspace=True,
                low_memory=False,
            )
        except UnicodeDecodeError as error:
            raise form.undecodable(path) from error
        except (
            pd.errors.ParserWarning,
            pd.errors.ParserError,
            pd.errors.EmptyDataError,
            EOFError,
            OSError,
            zlib.error,
        ) as error:
            raise DataError(
                f"{str(path)!r} cannot be read as a table of {len(names)} columns separated by {form.told}: "
                f"{_reason(error)}; correct that line, or name another --separator"
            ) from error


def _reason(error: BaseException) -> str:
    text = _one_line(error)
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", text)
    if found:
        return f"line {found[2]} has {found[3]} cells"
    quote = re.search(r"EOF inside string starting at row (\d+)", text)
    if quote:
        return f"a quote that is opened in row {int(quote[1]) + 1} is never closed"
    return "the rows have more cells than the first line has names" if "Length of header" in text else text


def _tidied(frame: Any, as_text: Collection[str]) -> tuple[Any, list[str]]:
    """Without a first column that only counts the rows, and with dates as dates."""
    notes = []
    first = frame.columns[0]
    if first == "column 1" and len(frame.columns) > 1 and frame[first].dtype.kind == "i":
        steps = frame[first].diff().dropna()
        if bool((steps == 1).all()):
            frame = frame.drop(columns=first)
            notes.append("The first column has no name and counts the rows; it is left out.")
    dates = [name for name in frame.columns if name not in as_text and _are_dates(frame[name])]
    for name in dates:
        frame[name] = _as_dates(frame[name])
    return frame, notes


#: Of a column of numbers so few cells may be something else, and it must have so many different numbers.
_STRANGE_SHARE, _LEAST_NUMBERS = 0.02, 20


def _numbers_at_last(frame: Any, as_text: Collection[str], decimal: str, *, strict: bool, path: Path) -> list[str]:
    """Turn columns of numbers with a few strange cells into numbers, in place; a sentence about each.

    One cell of text makes pandas read a whole column as text, which nothing can be learned from.
    """
    import pandas as pd

    notes = []
    for name in frame.columns:
        column = frame[name]
        if name in as_text or column.dtype.kind not in "OTU":
            continue
        texts = column.astype("string").str.strip()
        numbers = pd.to_numeric(texts.str.replace(decimal, ".", regex=False), errors="coerce")
        strange = (numbers.isna() & column.notna()).to_numpy()
        known = int(column.notna().sum())
        if not 0 < strange.sum() <= max(_STRANGE_SHARE * known, 1) or numbers.nunique() < _LEAST_NUMBERS:
            continue
        at = int(strange.argmax())
        more = f" and {int(strange.sum()) - 1} more cells" if strange.sum() > 1 else ""
        told = f"column {name!r} holds numbers, but {str(column.iloc[at])!r} in line {at + 2}{more}"
        if strict:
            raise DataError(f"{told} of {path.name}; correct it, or leave --strict out to take it for missing")
        frame[name] = numbers.astype("float64")
        notes.append(f"C{told[1:]} {'are' if more else 'is'} taken for missing (--strict refuses).")
    return notes


def _are_dates(column: Any) -> bool:
    if column.dtype.kind not in "OTU":
        return False
    there = column.dropna()
    looks = len(there) > 0 and all(isinstance(v, str) and _ISO_DATE.fullmatch(v) for v in there.head(50))
    return looks and not bool(_as_dates(there).isna().any())


def _as_dates(column: Any) -> Any:
    import pandas as pd

    return pd.to_datetime(column, format="ISO8601", errors="coerce")


def _refuse_twins(names: list[str], path: Path) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        places = [str(at) for at, name in enumerate(names, start=1) if name == twins[0]]
        raise DataError(
            f"{path.name} has several columns named {twins[0]!r} (columns {', '.join(places)}); "
            "give every column a name of its own"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
