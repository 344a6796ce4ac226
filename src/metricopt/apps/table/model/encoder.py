"""From a table of mixed columns to one tensor of numbers, with all that was learned as plain settings."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ...._checks import at_least
from ...._errors import ConfigError, DataError
from ...._typed import Typed
from .columns import CategoryColumn, NumberColumn, fit_column
from .raw_column import column_names, is_frame, raw_columns


@final
@dataclass(frozen=True, kw_only=True)
class TableEncoder(Typed):
    """Columns of numbers, dates and text as float32 columns of about unit scale. Made by `fit`.

    Numbers (also booleans, nullable ones, dates as days) are centred and scaled by median and interquartile range and
    clipped smoothly; missing ones get the median, and a column that marks them. Text and categories get one column per
    level. Constant columns are dropped.

    Args:
        columns: what was learned of each column, in order.
        named: whether it was fitted on a DataFrame, whose columns are then found by name.

    >>> table = np.array([[1.0, "a"], [2.0, "b"], [4.0, "a"]], dtype=object)
    >>> encoder = TableEncoder.fit(table, min_count=1)
    >>> encoder.labels
    ('x0', 'x1 = a', 'x1 = b')
    >>> encoder.transform(np.array([[None, "new"]], dtype=object))
    tensor([[0.0000, 0.6667, 0.3333]])
    """

    columns: tuple[NumberColumn | CategoryColumn, ...] = field(repr=False)
    named: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.columns or len(set(self.inputs)) != len(self.columns):
            raise ConfigError("a table encoder must have at least one column and no two of one name")

    @classmethod
    def fit(cls, table: Any, *, max_levels: int = 32, min_count: int = 5) -> TableEncoder:
        """Learn from training rows how to encode.

        Args:
            table: a pandas DataFrame, or a two-dimensional array of numbers or objects.
            max_levels: how many levels of a category get a column of their own, the most frequent ones.
            min_count: how many rows such a level must have; all others are one "rare" level together.

        Raises:
            DataError: no rows, no columns, or values that cannot be used; the message names the column.
        """
        at_least("max_levels", max_levels, 1)
        at_least("min_count", min_count, 1)
        names = column_names(table)
        if len(table) == 0 or not names:
            raise DataError(f"an encoder needs at least one row and one column, got {len(table)} x {len(names)}")
        columns = [fit_column(raw, max_levels=max_levels, min_count=min_count) for raw in raw_columns(table)]
        return cls(columns=tuple(columns), named=is_frame(table))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the columns of the table."""
        return tuple(column.name for column in self.columns)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the encoded columns."""
        return tuple(label for column in self.columns for label in column.labels)

    @property
    def width(self) -> int:
        """How many numbers a row becomes; at least 1: a table of constants becomes one column of zeros."""
        return max(len(self.labels), 1)

    def transform(self, table: Any) -> Tensor:
        """`(N, width)` float32.

        Args:
            table: of the same columns as the one it was fitted on; those of a DataFrame in any order.

        Raises:
            DataError: columns that are missing, unknown or of another kind; the message names them.
        """
        if is_frame(table) and self.named:
            self._check_names(column_names(table))
            order = {str(name): i for i, name in enumerate(table.columns)}
            table = table.iloc[:, [order[name] for name in self.inputs]]
        elif len(column_names(table)) != len(self.columns):
            raise DataError(
                f"the table has {len(column_names(table))} columns, but the encoder was fitted on {len(self.columns)}: "
                f"{_listed(self.inputs)}"
            )
        blocks = [column.encode(raw) for column, raw in zip(self.columns, raw_columns(table), strict=True)]
        encoded = np.concatenate(blocks, axis=1)
        if encoded.shape[1] == 0:
            encoded = np.zeros((len(table), 1), dtype=np.float32)
        return torch.from_numpy(encoded)

    def _check_names(self, names: Sequence[str]) -> None:
        missing = [name for name in self.inputs if name not in names]
        unknown = [name for name in names if name not in self.inputs]
        if not missing and not unknown:
            return
        found = [*([f"it lacks {_listed(missing)}"] if missing else [])]
        found += [f"{_listed(unknown)} {'was' if len(unknown) == 1 else 'were'} not there before"] if unknown else []
        close = {name: difflib.get_close_matches(name, missing, n=1) for name in unknown}
        hints = [f"rename {name!r} to {match[0]!r}?" for name, match in close.items() if match]
        raise DataError(
            f"the table does not have the columns that the encoder was fitted on: {'; '.join(found)}. "
            + (" ".join(["Did you mean to", *hints]) if hints else "Give the same columns, or fit again.")
        )


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
