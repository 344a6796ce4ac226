"""Columns that the metric alone is told of each row: a group, a cost, the price of an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._errors import DataError

#: So many names of a column of text are told.
_TOLD = 8


def columns_beside(frame: Any, names: Sequence[str]) -> tuple[Tensor | dict[str, Tensor] | None, tuple[str, ...]]:
    """What a metric gets as its third argument, and what there is to say about it.

    Numbers stay as they are; text and categories become the numbers of their values in ascending order.

    Args:
        frame: the rows that have a target.
        names: of the columns. One is handed over as `(N,)`; of several each under its name.

    Raises:
        DataError: a cell is empty.

    >>> import pandas as pd
    >>> columns_beside(pd.DataFrame({"region": ["south", "north"], "cost": [2.0, 5.0]}), ["region", "cost"])
    ({'region': tensor([1, 0]), 'cost': tensor([2., 5.])}, ("The metric is told 'region' as 0 north, 1 south.",))
    """
    if not names:
        return None, ()
    found, notes = {}, []
    for name in names:
        column = frame[name]
        empty = int(column.isna().sum())
        if empty:
            raise DataError(
                f"column {name!r} has {empty} empty cells, and --beside tells the metric all of them; fill them, or "
                "leave those rows out"
            )
        if column.dtype.kind in "biuf":
            values = torch.from_numpy(np.array(column))
            found[name] = values.float() if values.is_floating_point() else values.long()
            continue
        labels, codes = np.unique(np.array(column, dtype=str), return_inverse=True)
        found[name] = torch.from_numpy(codes)
        shown = ", ".join(f"{number} {label}" for number, label in enumerate(labels[:_TOLD]))
        more = f" and {len(labels) - _TOLD} more" if len(labels) > _TOLD else ""
        notes.append(f"The metric is told {name!r} as {shown}{more}.")
    return (found[names[0]] if len(names) == 1 else found), tuple(notes)
