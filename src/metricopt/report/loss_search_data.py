"""What a report shows of a search for losses, as plain data that is checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .._errors import ConfigError
from .._typed import Count, Most, Number, Typed


@dataclass(frozen=True)
class GenerationShown(Typed):
    """One generation.

    Args:
        best, median: raw metric on the search part, None where no candidate had one yet.
        fates: how many candidates met each fate.
    """

    best: Number | None
    median: Number | None
    fates: tuple[Count, ...]


@dataclass(frozen=True)
class LossShown(Typed):
    """One loss: what it says, its size, and the raw metric of networks that were trained with it."""

    formula: str
    size: Count
    value: Number


@dataclass(frozen=True)
class CurveShown(Typed):
    """One loss along the margin: where the target is 1, and where it is 0 (the same for values)."""

    name: str
    positive: tuple[Number, ...]
    negative: tuple[Number, ...]


@dataclass(frozen=True)
class LossSearch(Typed):
    """A search for losses.

    Args:
        formula: of the winner, rounded; latex: the same for a paper; short: simplified, without its constants.
        plain: name of the loss that it is compared with; baseline: raw metric of that loss in a short training.
        fates: names of what may become of a candidate.
        generations: in order.
        front: the best of each size, where no smaller one is as good, in short trainings.
        finals: the best and the plain loss in long trainings, best first.
        axis: what `places` are: margins, or differences.
        places: where the curves were evaluated.
        curves: the winner first.
    """

    formula: str
    latex: str
    short: str
    plain: str
    baseline: Number
    fates: Annotated[tuple[str, ...], Most(100)]
    generations: Annotated[tuple[GenerationShown, ...], Most(10_000)]
    front: Annotated[tuple[LossShown, ...], Most(100)]
    finals: Annotated[tuple[LossShown, ...], Most(100)]
    axis: str
    places: Annotated[tuple[Number, ...], Most(1_000)]
    curves: Annotated[tuple[CurveShown, ...], Most(20)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(len(one.fates) != len(self.fates) for one in self.generations):
            raise ConfigError(f"each generation must have a count for each of {len(self.fates)} fates")
        if any(len(side) != len(self.places) for one in self.curves for side in (one.positive, one.negative)):
            raise ConfigError(f"each curve must have a value for each of {len(self.places)} places")
