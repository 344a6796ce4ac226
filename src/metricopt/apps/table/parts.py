"""The rows of a table in parts: to train on, to stop the training by, to search on, to accept by, to test on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from ..._errors import DataError
from ..._parts import holdout
from ..._random import derive_seed
from ...job.split import SMALLEST_PART, search_and_acceptance
from ...workload import Examples
from .request import TableRequest
from .target import Target

#: Share of the training rows that tell when to stop.
_STOP = 0.15


@final
@dataclass(frozen=True, kw_only=True)
class TableParts:
    """Row numbers, each part ascending; together all rows. `test` may be empty."""

    train: Tensor = field(repr=False)
    stop: Tensor = field(repr=False)
    search: Tensor = field(repr=False)
    acceptance: Tensor = field(repr=False)
    test: Tensor = field(repr=False)

    def told(self) -> str:
        """One sentence."""
        test = f", {len(self.test):,} that nobody sees before the end" if len(self.test) else ""
        accept = (
            f", {len(self.acceptance):,} for the acceptance test" if len(self.acceptance) else ", no acceptance test"
        )
        return (
            f"Rows: {len(self.train):,} to train on and {len(self.stop):,} to stop by, {len(self.search):,} to search "
            f"on{accept}{test}."
        )


def part_rows(target: Target, request: TableRequest) -> TableParts:
    """Divide the rows at random, class by class.

    Raises:
        DataError: too few rows for every part to say something.
    """
    count = len(target.values)
    training = 1 - request.validation - request.test
    shares = [training * _STOP]
    shares += [request.validation * share for share in _divided(request.acceptance)]
    shares += [request.test] if request.test else []
    least = math.ceil(SMALLEST_PART / min(shares))
    if count < least:
        raise DataError(
            f"{count} rows with a target are too few: training, search, acceptance test and test need their own rows; "
            f"give at least {least}"
        )
    classes = target.values if target.labels is not None else None

    def held_out(rows: Tensor, share: float, what: str) -> tuple[Tensor, Tensor]:
        seed = derive_seed(request.seed, "table", what)
        kept, held = holdout(len(rows), fraction=share, seed=seed, classes=None if classes is None else classes[rows])
        return rows[kept], rows[held]

    rest, test = torch.arange(count), torch.zeros(0, dtype=torch.long)
    if request.test:
        rest, test = held_out(rest, request.test, "test rows")
    rest, validation = held_out(rest, request.validation / (1 - request.test), "validation rows")
    train, stop = held_out(rest, _STOP, "rows to stop by")
    if request.acceptance is None:
        return TableParts(
            train=train, stop=stop, search=validation, acceptance=torch.zeros(0, dtype=torch.long), test=test
        )
    both = Examples(inputs=validation, targets=target.values[validation])
    search, acceptance = search_and_acceptance(both, share=request.acceptance)
    return TableParts(train=train, stop=stop, search=search.inputs, acceptance=acceptance.inputs, test=test)


def _divided(acceptance: float | None) -> list[float]:
    return [1.0] if acceptance is None else [acceptance, 1 - acceptance]
