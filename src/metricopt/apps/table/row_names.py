"""Columns that name their rows: nothing can be learned from what is different everywhere."""

from __future__ import annotations

from typing import Any

#: With fewer rows chance may make all values different.
_ENOUGH = 50
#: Of all values, so many are different in a column of names.
_SHARE = 0.9


def row_names(frame: Any) -> list[str]:
    """The columns of text with hardly a value twice, and those of whole numbers that count the rows.

    >>> import pandas as pd
    >>> rows = range(60)
    >>> frame = pd.DataFrame({"id": rows, "note": [f"n{i}" for i in rows], "age": [i % 9 for i in rows]})
    >>> row_names(frame)
    ['id', 'note']
    """
    return [str(name) for name in frame.columns if _names_rows(frame[name])]


def _names_rows(column: Any) -> bool:
    from pandas.api.types import is_float_dtype, is_integer_dtype, is_object_dtype, is_string_dtype

    known = column.dropna()
    if len(known) < _ENOUGH:
        return False
    whole = is_float_dtype(known) and len(known) < len(column) and bool((known % 1 == 0).all())
    if is_integer_dtype(known) or whole:  # a missing value makes whole numbers floats
        gaps = len(column) - len(known)
        return bool(known.is_unique) and int(known.max()) - int(known.min()) <= len(known) - 1 + gaps
    if not (is_object_dtype(known) or is_string_dtype(known)):
        return False
    return len({str(value) for value in known}) >= _SHARE * len(known)


def note_on(names: list[str]) -> tuple[str, ...]:
    """A sentence about them; none where there are none.

    >>> note_on(["id"])
    ("The column 'id' is different in nearly every row, so nothing can be learned from it; --drop id leaves it out.",)
    """
    if not names:
        return ()
    shown = ", ".join(map(repr, names))
    columns, it = ("column", "it") if len(names) == 1 else ("columns", "them")
    verb = "is" if len(names) == 1 else "are"
    told = (
        f"The {columns} {shown} {verb} different in nearly every row, so nothing can be learned from {it}; "
        f"--drop {','.join(names)} leaves {it} out."
    )
    return (told,)
