"""The data sets of the study by name: published tables that are there, those of scikit-learn, and made ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from metricopt._random import generator
from metricopt._registry import Registry
from metricopt.tasks.tables import FILES, Array, TabularFile


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """Features (N, F) float64, NaN where a value is missing, and labels (N,) float64 in {0, 1}."""

    features: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class StudyEntry:
    """How a data set is loaded, and whether it is there without a download."""

    load: Callable[[], StudyData]
    is_there: Callable[[], bool] = lambda: True


def _published(file: TabularFile) -> StudyEntry:
    return StudyEntry(load=lambda: _data(*file.load()), is_there=lambda: file.path is not None)


def _data(features: Array, labels: Array) -> StudyData:
    return StudyData(features=torch.from_numpy(features), labels=torch.from_numpy(labels.astype(np.float64)))


def _from_sklearn(name: str, positive: int) -> StudyData:
    import sklearn.datasets

    features, labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return _data(features.astype(np.float64), labels == positive)


def imbalanced(share: float, *, rows: int = 4000, features: int = 10, seed: int = 0) -> StudyData:
    """Gaussian rows of which exactly `share` are positive: those that are largest in a curved score with noise.

    `x1 + x2 x3 - |x4| + x5 / 2 + e / 2` with e from the logistic distribution; the other features say nothing.

    >>> int(imbalanced(0.05, rows=1000).labels.sum())
    50
    """
    source = generator(seed, "imbalanced", rows, features)
    x = torch.randn(rows, features, generator=source, dtype=torch.float64)
    noise = torch.logit(torch.rand(rows, generator=source, dtype=torch.float64), eps=1e-9)
    score = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 3].abs() + 0.5 * x[:, 4] + 0.5 * noise
    labels = torch.zeros(rows, dtype=torch.float64)
    labels[score.topk(round(share * rows)).indices] = 1.0
    return StudyData(features=x, labels=labels)


#: In the order in which they are run.
DATA: Registry[StudyEntry] = Registry("data set of the study")
DATA.add("breast_cancer", StudyEntry(load=partial(_from_sklearn, "breast_cancer", 0)))
DATA.add("wine", StudyEntry(load=partial(_from_sklearn, "wine", 2)))
DATA.add("digits_8", StudyEntry(load=partial(_from_sklearn, "digits", 8)))
DATA.add("synthetic_10", StudyEntry(load=partial(imbalanced, 0.10)))
DATA.add("synthetic_5", StudyEntry(load=partial(imbalanced, 0.05)))
DATA.add("synthetic_2", StudyEntry(load=partial(imbalanced, 0.02)))
for _name, _file in FILES.items():
    DATA.add(_name, _published(_file))
