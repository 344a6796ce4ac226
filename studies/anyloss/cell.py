"""One cell of the study: all folds of one data set, one network and one loss."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor

from metricopt import __version__
from metricopt.runtime import RunKey, describe_environment, one_thread

from .data import DATA
from .folds import VALIDATION, Folds, make_folds
from .losses import LOSSES
from .measures import MEASURES, measure, tuned_thresholds
from .networks import NETWORKS
from .train import Training, train

#: Part of every key: raise it when the same cell would give another row.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is trained. Plain values: it travels to workers."""

    data: str
    network: str
    loss: str
    folds: int
    seed: int
    training: Training

    @property
    def title(self) -> str:
        """What a bar and a message call it."""
        return f"{self.data} {self.network} {self.loss}"

    @property
    def key(self) -> RunKey:
        """What makes this cell the same cell. All metrics stand in its one row."""
        settings = {
            "network": self.network,
            "hidden": NETWORKS[self.network].hidden,
            "folds": self.folds,
            "validation": VALIDATION,
            "training": {**asdict(self.training), "rates": list(self.training.rates)},
            "version": VERSION,
        }
        return RunKey(task=self.data, method=self.loss, metric="all", seed=self.seed, settings=settings)


@functools.lru_cache(maxsize=1)
def folds_of(data: str, folds: int, seed: int) -> Folds:
    """The folds of a data set. A process keeps its last ones, since cells come ordered by it."""
    return make_folds(DATA[data].load(), folds=folds, seed=seed)


def run_cell(cell: Cell) -> dict[str, Any]:
    """The row of one cell, without its key: a JSON mapping.

    `test` holds each metric on the test rows of each fold, `tuned` the same with the threshold that was best for this
    metric on the validation part, `thresholds` those as scores. `rates` and `kept` say, for each fold, which learning
    rate was chosen and after how many steps. `steps` and `seconds` are those of the whole population; seconds are of
    the processor, so that other programs on the machine do not count.

    Raises: MetricOptError where the data cannot be used or no network of a fold has a finite loss.
    """
    folds = folds_of(cell.data, cell.folds, cell.seed)
    network = NETWORKS[cell.network]
    loss = LOSSES[cell.loss].loss
    with one_thread():
        # Whatever is loaded or cached at the first call shall not count as time of the loss that happens to be first.
        train(network, loss, folds, replace(cell.training, steps=1, check_every=1), seed=cell.seed)
        began = time.process_time()
        trained = train(network, loss, folds, cell.training, seed=cell.seed)
        seconds = time.process_time() - began
        scores = network.scores(trained.weights, folds.x)[:, :, 0]
        environment = describe_environment()  # in here, where it sees the one thread
    return {
        **_measured(scores, folds),
        "rates": [cell.training.rates[int(position)] for position in trained.rates],
        "kept": trained.kept.tolist(),
        "steps": trained.steps,
        "seconds": seconds,
        "rows": len(folds.y),
        "features": folds.x.shape[2],
        "positives": int(folds.y.sum()),
        "environment": environment,
        "version": __version__,
    }


def _measured(scores: Tensor, folds: Folds) -> dict[str, dict[str, list[float]]]:
    """`test`, `tuned` and `thresholds`, each by metric with one value for each fold.

    Args:
        scores: (K, N), every row scored by every fold's network.
    """
    found: dict[str, dict[str, list[float]]] = {name: {m: [] for m in MEASURES} for name in PARTS}
    for fold, test in enumerate(folds.test):
        val = folds.val[fold]
        cuts = tuned_thresholds(scores[fold, val], folds.y[val])
        plain = measure(scores[fold, test], folds.y[test])
        for metric, cut in cuts.items():
            found["test"][metric].append(plain[metric])
            found["tuned"][metric].append(measure(scores[fold, test], folds.y[test], cut)[metric])
            found["thresholds"][metric].append(cut)
    return found


#: The columns of a row that hold one value for each metric and fold.
PARTS: Sequence[str] = ("test", "tuned", "thresholds")
