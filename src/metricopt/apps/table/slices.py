"""Groups of the rows of a table that the value function looks into: values of columns, or clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..._errors import ConfigError
from ...profiles import MOST_SLICES, Slices
from .model import TableEncoder
from .model.columns import Column, NumberColumn

#: A column of so many numbers holds codes: each is a group. One of more is cut in two.
_FEW_NUMBERS = 8
#: Encoded numbers that are nearer than this are the same number.
_SAME = 1e-4

#: A level that training rows did not have is encoded as their average, and is in no group.
_MARKED = 0.99

#: Encoded columns `(N, w)` of one column of the table to `(N,)` booleans.
_Member = Callable[[Tensor], Tensor]


def clusters_wanted(wanted: Sequence[str]) -> int | None:
    """How many clusters are asked for; None where columns are named."""
    return int(wanted[0]) if len(wanted) == 1 and wanted[0].isdigit() else None


def table_slices(wanted: Sequence[str], encoder: TableEncoder, inputs: Tensor) -> Slices | int | None:
    """What `--slices` asks for: a number of clusters, or a group for each value of some columns.

    A column of text has a group for each of its levels that the network knows, one of up to eight numbers one for each;
    other numbers and dates are cut in two at the median. Missing values are a group where there are some.

    Args:
        wanted: one number, or names of columns that the network reads; none for no slices.
        encoder: of the rows.
        inputs: encoded training rows.
    """
    if not wanted:
        return None
    count = clusters_wanted(wanted)
    if count is not None:
        return count
    names: list[str] = []
    parts: list[tuple[slice, _Member]] = []
    start = 0
    for column in encoder.columns:
        place = slice(start, start + len(column.labels))
        start = place.stop
        if column.name in wanted:
            for name, member in _groups(column, inputs[:, place]):
                names.append(name)
                parts.append((place, member))
    if not 2 <= len(names) <= MOST_SLICES:
        raise ConfigError(
            f"--slices {', '.join(wanted)} makes {len(names)} groups; name columns with 2 to {MOST_SLICES} different "
            "values together, or give a number for so many clusters"
        )
    return Slices(names=names, of=lambda x: torch.stack([member(x[:, place]) for place, member in parts], dim=1))


def _groups(column: Column, encoded: Tensor) -> Iterator[tuple[str, _Member]]:
    if not isinstance(column, NumberColumn) or not column.rate:
        for number, label in enumerate(column.labels):
            yield label, partial(_is_marked, number)
        return
    is_there = partial(_is_number, column)
    values = encoded[is_there(encoded), 0].unique()
    if len(values) <= _FEW_NUMBERS and column.kind == "number":
        for value in values.tolist():
            yield f"{column.name} = {column.value_of(value):.6g}", partial(_is_near, value, is_there)
    else:
        centre = f"{np.datetime64(round(column.center), 'D')}" if column.kind == "date" else f"{column.center:.6g}"
        yield f"{column.name} <= {centre}", lambda block: is_there(block) & (block[:, 0] <= 0)
        yield f"{column.name} > {centre}", lambda block: is_there(block) & (block[:, 0] > 0)
    if column.marks_missing:
        yield column.labels[-1], partial(_is_marked, -1)


def _is_marked(number: int, block: Tensor) -> Tensor:
    return block[:, number] > _MARKED


def _is_number(column: NumberColumn, block: Tensor) -> Tensor:
    """Whether there is a number, where a second column says that there is none."""
    return ~_is_marked(-1, block) if column.marks_missing else torch.ones(len(block), dtype=torch.bool)


def _is_near(value: float, is_there: _Member, block: Tensor) -> Tensor:
    return is_there(block) & ((block[:, 0] - value).abs() < _SAME)
