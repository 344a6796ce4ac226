"""Stratified folds in lock-step: every fold has its own scaling, and parts of equal size stand in one tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metricopt._checks import at_least
from metricopt._errors import ConfigError
from metricopt._random import generator

from .data import StudyData

#: Share of a training fold that only stops the training, chooses its rate and tunes thresholds.
VALIDATION = 0.2


@dataclass(frozen=True, kw_only=True)
class Folds:
    """K folds of one data set.

    Args:
        x: (K, N, F) float32, all rows, scaled with the training part of each fold.
        y: (N,) float32 in {0, 1}.
        train, val: (K, n) row numbers. All folds have as many: at most a row or two of a fold is left over, unused.
        test: row numbers of each fold; together all rows, each once.
    """

    x: Tensor
    y: Tensor
    train: Tensor
    val: Tensor
    test: tuple[Tensor, ...]

    @property
    def shares(self) -> Tensor:
        """(K,) shares of positives in the training parts."""
        return self.y[self.train].mean(dim=1)


def make_folds(data: StudyData, *, folds: int, seed: int) -> Folds:
    """Cut every class into `folds` parts of equal size, up to one row, and each training fold into training and
    validation.

    Raises: ConfigError where a class has too few rows for each part of each fold to have one.
    """
    at_least("folds", folds, 2)
    source = generator(seed, "study folds")
    classes = [torch.nonzero(data.labels == label).reshape(-1) for label in (0.0, 1.0)]
    if min(len(rows) for rows in classes) < 2 * folds:
        sizes = [len(rows) for rows in classes]
        raise ConfigError(f"{folds} folds need {2 * folds} rows of each class, got {sizes}; use fewer folds")
    mixed = [rows[torch.randperm(len(rows), generator=source)] for rows in classes]
    # Dealing goes on where the class before ended, so that the folds differ by one row and not by one of each class.
    starts = [0, len(mixed[0])]
    dealt = [(torch.arange(len(rows)) + start) % folds for rows, start in zip(mixed, starts, strict=True)]
    train, val, test = [], [], []
    for fold in range(folds):
        test.append(torch.cat([rows[of == fold] for rows, of in zip(mixed, dealt, strict=True)]))
        rest = [rows[of != fold] for rows, of in zip(mixed, dealt, strict=True)]
        rest = [rows[torch.randperm(len(rows), generator=source)] for rows in rest]
        held = [max(1, int(VALIDATION * (len(rows) - -(-len(rows) // folds)))) for rows in mixed]
        val.append(torch.cat([rows[:n] for rows, n in zip(rest, held, strict=True)]))
        train.append(torch.cat([rows[n:] for rows, n in zip(rest, held, strict=True)]))
    least = min(len(rows) for rows in train)
    # A row that is left over is drawn at random: parts list one class behind the other.
    train = [rows[torch.randperm(len(rows), generator=source)[:least]] for rows in train]
    x = torch.stack([scaled(data.features, rows) for rows in train])
    return Folds(x=x, y=data.labels.float(), train=torch.stack(train), val=torch.stack(val), test=tuple(test))


def scaled(features: Tensor, rows: Tensor) -> Tensor:
    """All rows as float32, with mean 0 and variance 1 over `rows`; a missing value becomes the mean.

    A column that is constant over `rows` becomes 0 everywhere: nothing is known about its scale.

    >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [float("nan"), 9.0]], dtype=torch.float64)
    >>> scaled(x, torch.tensor([0, 1])).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    known = features[rows]
    mean = known.nanmean(dim=0)
    spread = (known - mean).square().nanmean(dim=0).sqrt()
    centred = torch.nan_to_num(features - mean)
    return torch.where(spread > 0, centred / spread, 0.0).float()
