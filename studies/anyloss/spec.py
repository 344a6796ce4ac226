"""What the study consists of: data sets, networks, losses, folds, training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from metricopt._checks import at_least
from metricopt._errors import ConfigError
from metricopt._registry import Registry

from .cell import Cell
from .data import DATA
from .losses import LOSSES
from .networks import NETWORKS
from .train import Training


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """Data sets x networks x losses, all trained alike.

    Args:
        title: above the tables.
        data, networks, losses: names in `DATA`, `NETWORKS`, `LOSSES`.
        folds: of the cross-validation.
        seed: of the folds, the first weights and the order of the batches.
        training: the same for all.
    """

    title: str
    data: tuple[str, ...]
    networks: tuple[str, ...] = tuple(NETWORKS)
    losses: tuple[str, ...] = tuple(LOSSES)
    folds: int = 10
    seed: int = 0
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for name, known in (("data", DATA), ("networks", NETWORKS), ("losses", LOSSES)):
            given = getattr(self, name)
            if not given or len(set(given)) != len(given):
                raise ConfigError(f"{name} of a study must be one or more different values, got {given!r}")
            for one in given:
                _ = known[one]  # an unknown name raises, with the closest one
        at_least("folds", self.folds, 2)
        at_least("seed", self.seed, 0)

    def cells(self) -> Iterator[Cell]:
        """Every cell, data set by data set, so that whenever one stops the finished ones can be compared."""
        for data in self.data:
            for network in self.networks:
                for loss in self.losses:
                    yield Cell(
                        data=data,
                        network=network,
                        loss=loss,
                        folds=self.folds,
                        seed=self.seed,
                        training=self.training,
                    )

    @property
    def absent(self) -> tuple[str, ...]:
        """Data sets whose files are not on this machine."""
        return tuple(name for name in self.data if not DATA[name].is_there())


def full() -> StudySpec:
    """Everything: 20 data sets, 10 folds, up to 4,000 steps at five learning rates."""
    return StudySpec(title="The AnyLoss study", data=tuple(DATA))


def smoke() -> StudySpec:
    """The same machinery on data that need no files, within a minute."""
    return StudySpec(
        title="The AnyLoss study, smoke test",
        data=("breast_cancer", "wine", "synthetic_10"),
        folds=3,
        training=Training(rates=(0.01, 0.03), steps=120, check_every=20),
    )


PRESETS: Registry[Callable[[], StudySpec]] = Registry("preset")
PRESETS.add("full", full)
PRESETS.add("smoke", smoke)
