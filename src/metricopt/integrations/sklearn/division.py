"""Which rows a model is trained on, and on which ones it is tuned: rows that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from ..._errors import ConfigError
from ..._parts import folds, holdout
from .fit_settings import FitSettings

#: Row numbers to train on, row numbers to hold out.
Part: TypeAlias = tuple[Tensor, Tensor]

#: With more rows than this, `cv="auto"` holds a part out: it is large enough, and training several times takes long.
MOST_TO_CROSS = 10_000
_FOLDS = 5

#: Of fewer rows, the parts to search on and to test on are so small that what is found there is chance.
LEAST_ROWS = 100
#: A class of which fewer rows are there says nothing about a threshold.
LEAST_OF_A_CLASS = 5


@final
@dataclass(frozen=True, kw_only=True)
class Splitting:
    """What a splitter of scikit-learn is given: all rows, also those of weight 0 that count nowhere.

    Args:
        X, y: as `fit` got them.
        counts: `(N,)` booleans, which rows count; None for all.
    """

    X: Any = field(repr=False)
    y: Any = field(repr=False)
    counts: Tensor | None = field(repr=False)

    def numbers(self, rows: Any) -> Tensor:
        """Numbers among the rows that count, from numbers among all rows."""
        indices = torch.as_tensor(np.arange(len(self.y))[np.asarray(rows)])
        if self.counts is None:
            return indices
        return (self.counts.cumsum(0) - 1)[indices[self.counts[indices]]]


@final
@dataclass(frozen=True, kw_only=True)
class Division:
    """The rows in parts.

    Args:
        parts: one, a part that is held out; or several, the folds of a cross-fit; or none.
        crossed: whether they are folds.
        reason: why there is nothing to tune on, in one sentence; None where there is.
    """

    parts: tuple[Part, ...] = field(repr=False)
    crossed: bool = False
    reason: str | None = None

    @property
    def holdout(self) -> Tensor:
        """All rows that are held out once, ascending."""
        held = [numbers for _, numbers in self.parts]
        return torch.cat(held).sort().values if held else torch.arange(0)


def divide(
    cv: Any, rows: int, *, codes: Tensor | None, settings: FitSettings, shift_helps: bool, splitting: Splitting
) -> Division:
    """The parts that `cv` asks for, see `MetricOptClassifier`.

    Args:
        cv: "auto", None, a number of folds, a splitter of scikit-learn, or its splits.
        rows: how many rows there are.
        codes: class numbers `(rows,)`; None for a regression.
        settings: of the estimator.
        shift_helps: whether a shift of the scores can move the metric at all; "auto" crosses only then.
        splitting: what a splitter is given.

    Raises:
        ConfigError: `cv` is none of these, or holds a row out twice.
    """
    if settings.calls == 0:
        # A part to stop by is all that is needed then.
        parts = _holdout(rows, codes, settings).parts if settings.early_stopping and rows >= LEAST_ROWS else ()
        return Division(parts=parts, reason=why_not(rows, codes, settings))
    if isinstance(cv, str) and cv != "auto":
        raise ConfigError(f'cv must be "auto", None, a number of folds or a splitter, got {cv!r}')
    if isinstance(cv, str):
        cv = _FOLDS if shift_helps and rows <= MOST_TO_CROSS else None
    if cv is None:
        found = _holdout(rows, codes, settings)
    elif isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if cv < 2:
            raise ConfigError(f"cv must be at least 2 folds, or None to hold a part out, got {cv}")
        if rows < max(cv, LEAST_ROWS):
            return Division(parts=(), reason=_too_few(rows))
        found = Division(parts=tuple(folds(rows, count=int(cv), seed=settings.seed, classes=codes)), crossed=True)
    else:
        found = Division(parts=_splits(cv, codes, splitting), crossed=True)
    reason = why_not(len(found.holdout), None if codes is None else codes[found.holdout], settings)
    return found if reason is None else Division(parts=(), reason=reason)


def why_not(rows: int, codes: Tensor | None, settings: FitSettings) -> str | None:
    """Why a model cannot be tuned on rows that it has not seen, in one sentence; None where it can.

    Args:
        rows: how many there are.
        codes: their class numbers; None for a regression.
        settings: of the estimator.
    """
    if settings.calls == 0:
        return "Not tuned: calls=0 asks for the model as it was trained."
    if rows < LEAST_ROWS:
        return _too_few(rows)
    if codes is not None and int((torch.bincount(codes) >= LEAST_OF_A_CLASS).sum()) < 2:
        return (
            f"Not tuned: fewer than two classes have {LEAST_OF_A_CLASS} rows that the model has not seen. "
            "The model stays as it was trained."
        )
    return None


def _too_few(rows: int) -> str:
    return (
        f"Not tuned: {rows} rows that the model has not seen are too few for a search and a test, which need "
        f"{LEAST_ROWS}. The model stays as it was trained."
    )


def _holdout(rows: int, codes: Tensor | None, settings: FitSettings) -> Division:
    part = holdout(rows, fraction=settings.validation_fraction, seed=settings.seed, classes=codes)
    return Division(parts=(part,))


def _splits(cv: Any, codes: Tensor | None, splitting: Splitting) -> tuple[Part, ...]:
    from sklearn.model_selection import check_cv

    if not hasattr(cv, "split") and not isinstance(cv, Iterable):
        raise ConfigError(f'cv must be "auto", None, a number of folds, a splitter or its splits, got {cv!r}')
    splits = check_cv(cv, splitting.y, classifier=codes is not None).split(splitting.X, splitting.y)
    parts = [(splitting.numbers(kept), splitting.numbers(held)) for kept, held in splits]
    held = torch.cat([b for _, b in parts] or [torch.arange(0)])
    if any(len(a) == 0 or len(b) == 0 for a, b in parts) or len(parts) < 2:
        raise ConfigError("cv must give at least two splits with rows to train on and rows to hold out")
    if len(held.unique()) < len(held):
        raise ConfigError("cv holds some rows out twice; a row can be tuned on once: use folds that are apart")
    return tuple(parts)
