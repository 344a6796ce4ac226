"""What a report shows of a search for losses, as plain data that is checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from .._errors import ConfigError
from .plain_values import Setter, count, counts, number, numbers, parts, text, texts

_MOST_GENERATIONS, _MOST_LOSSES, _MOST_PLACES = 10_000, 100, 1_000


@dataclass(frozen=True)
class GenerationShown:
    """One generation.

    Args:
        best, median: raw metric on the search part, None where no candidate had one yet.
        fates: how many candidates met each fate.
    """

    best: float | None
    median: float | None
    fates: tuple[int, ...]

    def __post_init__(self) -> None:
        put = Setter(self)
        for name in ("best", "median"):
            value = getattr(self, name)
            put(**{name: None if value is None else number(name, value)})
        put(fates=counts("fates", self.fates, 100))


@dataclass(frozen=True)
class LossShown:
    """One loss: what it says, its size, and the raw metric of networks that were trained with it."""

    formula: str
    size: int
    value: float

    def __post_init__(self) -> None:
        put = Setter(self)
        put(formula=text("formula", self.formula), size=count("size", self.size), value=number("value", self.value))


@dataclass(frozen=True)
class CurveShown:
    """One loss along the margin: where the target is 1, and where it is 0 (the same for values)."""

    name: str
    positive: tuple[float, ...]
    negative: tuple[float, ...]

    def __post_init__(self) -> None:
        put = Setter(self)
        put(name=text("name", self.name))
        put(**{name: numbers(name, getattr(self, name), _MOST_PLACES) for name in ("positive", "negative")})


@dataclass(frozen=True)
class LossSearch:
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
    baseline: float
    fates: tuple[str, ...]
    generations: tuple[GenerationShown, ...]
    front: tuple[LossShown, ...]
    finals: tuple[LossShown, ...]
    axis: str
    places: tuple[float, ...]
    curves: tuple[CurveShown, ...]

    def __post_init__(self) -> None:
        put = Setter(self)
        put(**{name: text(name, getattr(self, name)) for name in ("formula", "latex", "short", "plain", "axis")})
        put(baseline=number("baseline", self.baseline), fates=texts("fates", self.fates, 100))
        put(places=numbers("places", self.places, _MOST_PLACES))
        for name, kind, most in (
            ("generations", GenerationShown, _MOST_GENERATIONS),
            ("front", LossShown, _MOST_LOSSES),
            ("finals", LossShown, _MOST_LOSSES),
            ("curves", CurveShown, 20),
        ):
            put(**{name: parts(name, getattr(self, name), kind, most)})
        if any(len(one.fates) != len(self.fates) for one in self.generations):
            raise ConfigError(f"each generation must have a count for each of {len(self.fates)} fates")
        if any(len(side) != len(self.places) for one in self.curves for side in (one.positive, one.negative)):
            raise ConfigError(f"each curve must have a value for each of {len(self.places)} places")
