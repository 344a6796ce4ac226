"""Cut rows into train, validation and test by seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import at_least
from .._errors import ConfigError
from .._random import generator


@dataclass(frozen=True, kw_only=True)
class Indices:
    """Row numbers (int64) of the three parts; disjoint, together all rows."""

    train: Tensor
    val: Tensor
    test: Tensor


def split(rows: int, *, seed: int, val: float = 0.1, test: float = 0.2, stratify: Tensor | None = None) -> Indices:
    """A random cut into parts of floor(val * rows) and floor(test * rows), the rest is for training.

    Args:
        rows: how many rows there are.
        seed: the cut depends on it and on nothing else.
        val: share of the validation part.
        test: share of the test part.
        stratify: labels (rows,), to cut every class by itself. The paper does not.

    Raises:
        ConfigError: the shares leave a part without rows.

    >>> parts = split(48_842, seed=0)
    >>> len(parts.train), len(parts.val), len(parts.test)
    (34190, 4884, 9768)
    """
    at_least("rows", rows, 3)
    if not (val > 0 and test > 0 and val + test < 1):
        raise ConfigError(f"val and test must be positive and below 1 together, got {val} and {test}")
    source = generator(seed, "split")
    order = torch.randperm(rows, generator=source)
    if stratify is None:
        groups = [order]
    else:
        if stratify.shape != (rows,):
            raise ConfigError(f"stratify must have one label per row, ({rows},); got {tuple(stratify.shape)}")
        labels = stratify[order]
        groups = [order[labels == label] for label in torch.unique(labels)]
    cuts = [_cut(group, val, test) for group in groups]
    parts = [torch.cat([cut[part] for cut in cuts]) for part in range(3)]
    if any(len(part) == 0 for part in parts):
        sizes = [len(part) for part in parts]
        raise ConfigError(f"{rows} rows are too few for shares {val} and {test}: train, val, test would be {sizes}")
    return Indices(train=parts[0], val=parts[1], test=parts[2])


def _cut(order: Tensor, val: float, test: float) -> tuple[Tensor, Tensor, Tensor]:
    # The small term keeps 0.1 * 30 from being 2.
    n_val, n_test = (int(len(order) * share + 1e-9) for share in (val, test))
    n_train = len(order) - n_val - n_test
    return order[:n_train], order[n_train : n_train + n_val], order[n_train + n_val :]
