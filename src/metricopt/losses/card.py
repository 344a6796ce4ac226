"""What is to be known about a loss without calling it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .._checks import one_of
from .._errors import ConfigError
from .._types import LossFunction, ScoreKind


@dataclass(frozen=True, kw_only=True)
class Card:
    """One loss in words; it feeds the command line, the documentation and the contract tests.

    Args:
        name: its name in the registry.
        title: one line.
        reads: "scores" for every loss so far: losses take raw scores.
        targets: the kinds of problem it is defined for.
        aims_at: names of the metrics that it stands in for.
        stateful: whether it owns tensors that change or are learned.
        paper: where it comes from.
        tier: "core" is kept stable, "contrib" may change.
    """

    name: str
    title: str
    reads: Literal["scores"] = "scores"
    targets: tuple[ScoreKind, ...]
    aims_at: tuple[str, ...]
    stateful: bool = False
    paper: str
    tier: Literal["core", "contrib"] = "core"

    def __post_init__(self) -> None:
        if not self.targets:
            raise ConfigError(f"the card of loss {self.name!r} names no kind of targets; name at least one")
        for kind in self.targets:
            one_of("targets", kind, ("binary", "multiclass", "multilabel"))
        one_of("tier", self.tier, ("core", "contrib"))


@dataclass(frozen=True, kw_only=True)
class LossEntry:
    """A card and the factory that makes the loss: `factory(**options) -> (scores, targets) -> scalar`."""

    card: Card
    factory: Callable[..., LossFunction]
