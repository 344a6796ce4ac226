"""How far a search for losses has come: everything that the next generation depends on, as a value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, final

from .._errors import CheckpointError
from .candidate import Candidate

#: So many of the best are kept to be trained again in the end.
_HALL = 20
#: What may become of a candidate, in the order in which it is found out.
FATES = ("archive", "constant", "same slopes", "rejected", "failed", "trained")


@final
@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a report shows of one generation.

    Args:
        best: the least error so far. median: of this generation's candidates that have one.
        size: median size of its formulas.
        fates: how many candidates met each of `FATES`.
        formula: the best so far.
    """

    best: float
    median: float
    size: float
    fates: dict[str, int]
    formula: str


@final
@dataclass(frozen=True, kw_only=True)
class SearchState:
    """Between two generations.

    Args:
        population: the candidates that the next generation comes from.
        archive: canonical text -> candidate, of all that was looked at.
        slopes: key of slopes -> canonical text of the candidate that was trained with them.
        hall: the best of all, best first.
        front: for each size the best candidate, where no smaller one is as good.
        history: one entry for each generation.
        baseline: error of the plain loss, trained as long.
        calls: of the metric.
    """

    population: tuple[Candidate, ...] = ()
    archive: dict[str, Candidate] = field(default_factory=dict)
    slopes: dict[str, str] = field(default_factory=dict)
    hall: tuple[Candidate, ...] = ()
    front: tuple[Candidate, ...] = ()
    history: tuple[Generation, ...] = ()
    baseline: float = math.inf
    calls: int = 0

    @property
    def fates(self) -> dict[str, int]:
        """Over all generations."""
        return {fate: sum(generation.fates[fate] for generation in self.history) for fate in FATES}

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "population": [one.to_plain() for one in self.population],
            "archive": {name: one.to_plain() for name, one in self.archive.items()},
            "slopes": self.slopes,
            "hall": [one.to_plain() for one in self.hall],
            "front": [one.to_plain() for one in self.front],
            "history": [_generation_to_plain(one) for one in self.history],
            "baseline": _finite(self.baseline),
            "calls": self.calls,
        }

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> SearchState:
        """What `to_plain` wrote. Raises CheckpointError."""
        try:
            candidates = {
                name: tuple(map(Candidate.from_plain, value[name])) for name in ("population", "hall", "front")
            }
            return cls(
                **candidates,
                archive={str(name): Candidate.from_plain(one) for name, one in value["archive"].items()},
                slopes={str(key): str(name) for key, name in value["slopes"].items()},
                history=tuple(_generation_from_plain(one) for one in value["history"]),
                baseline=_infinite(value["baseline"]),
                calls=int(value["calls"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"a saved search for losses cannot be read: {error!r}. Begin the run anew."
            ) from error


def with_hall(state: SearchState, tried: Iterable[Candidate]) -> SearchState:
    """The state with its best and its front renewed by candidates that were tried."""
    known = {str(one.tree): one for one in (*state.hall, *state.front, *tried) if one.error < math.inf}
    ranked = sorted(known.values(), key=lambda one: (one.error, one.tree.size, str(one.tree)))
    front: list[Candidate] = []
    for one in sorted(known.values(), key=lambda one: (one.tree.size, one.error, str(one.tree))):
        if not front or one.error < front[-1].error:
            front.append(one)
    return replace(state, hall=tuple(ranked[:_HALL]), front=tuple(front))


def _generation_to_plain(one: Generation) -> list[Any]:
    return [_finite(one.best), _finite(one.median), one.size, [one.fates[fate] for fate in FATES], one.formula]


def _generation_from_plain(value: Any) -> Generation:
    best, median, size, fates, formula = value
    return Generation(
        best=_infinite(best),
        median=_infinite(median),
        size=float(size),
        fates={fate: int(count) for fate, count in zip(FATES, fates, strict=True)},
        formula=str(formula),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _infinite(value: Any) -> float:
    return math.inf if value is None else float(value)
