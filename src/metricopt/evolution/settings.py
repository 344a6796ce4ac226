"""How long and how widely a search for losses looks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from .._checks import at_least, fraction, one_of, positive
from .._errors import ConfigError
from .._registry import Registry

#: How candidates come about: by evolution, or each drawn anew.
Strategy = Literal["evolution", "random"]


@dataclass(frozen=True, kw_only=True)
class EvolutionSettings:
    """The defaults are the paper's.

    Args:
        population, generations: candidates of a generation, and how many generations.
        strategy: "evolution", or "random": every candidate is drawn anew.
        crossover, mutation: rates; what is left is copied.
        tournament: rivals by error. parsimony: 1 to 2, how much a smaller size counts.
        elite: share of the best that lives on as it is.
        known_losses: whether the first generation holds the losses that everyone knows, see `KNOWN`.
        first_heights, mutation_heights: of new trees. most_height: of any.
        local_steps: of the tuning of constants, 0 for none. unroll: SGD steps that it looks through.
        meta_rate: of its Adam. first_order: see `tuned`.
        same_scale: whether each candidate is scaled to the size of slope that the objective has on a fresh network.
        train_steps: SGD steps of a candidate before it is judged.
        archive: whether what was trained is remembered.
        same_slopes: whether a candidate with the slopes of an earlier one takes its figure.
        rejection_steps: steps of the rejection protocol, 0 for none.
        side_by_side: how many candidates train together. The last bits of a figure do not depend on it.
        finalists: how many of the best are trained again in the end, with other seeds. final_seeds: how many.
        final_steps: SGD steps of these trainings, and of the loss that is compared with; None for 3 times
            `train_steps`.

    Differs from the paper: an elite (its code reads a rate and has none), the rejection protocol before the local
    search, the finalists. The presets other than "paper" also hold the known losses and give all candidates one size.
    """

    population: int = 25
    generations: int = 50
    strategy: Strategy = "evolution"
    crossover: float = 0.7
    mutation: float = 0.25
    tournament: int = 4
    parsimony: float = 1.0
    elite: float = 0.05
    known_losses: bool = False
    first_heights: tuple[int, int] = (2, 4)
    mutation_heights: tuple[int, int] = (0, 2)
    most_height: int = 10
    local_steps: int = 250
    unroll: int = 1
    meta_rate: float = 1e-3
    first_order: bool = False
    same_scale: bool = False
    train_steps: int = 500
    archive: bool = True
    same_slopes: bool = True
    rejection_steps: int = 1000
    side_by_side: int = 25
    finalists: int = 5
    final_seeds: int = 5
    final_steps: int | None = None

    def __post_init__(self) -> None:
        one_of("strategy", self.strategy, get_args(Strategy))
        for name in ("population", "tournament", "unroll", "train_steps", "side_by_side", "finalists", "final_seeds"):
            at_least(name, getattr(self, name), 1)
        for name in ("generations", "local_steps", "rejection_steps"):
            at_least(name, getattr(self, name), 0)
        for name in ("crossover", "mutation", "elite"):
            fraction(name, getattr(self, name))
        if self.crossover + self.mutation > 1:
            raise ConfigError(
                f"crossover and mutation must be at most 1 together, got {self.crossover} and {self.mutation}"
            )
        if not 1 <= self.parsimony <= 2:
            raise ConfigError(f"parsimony must lie between 1 and 2, got {self.parsimony!r}")
        positive("meta_rate", self.meta_rate)
        for name in ("first_heights", "mutation_heights"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= self.most_height:
                raise ConfigError(
                    f"{name} must be two heights, the lower one first, up to most_height = {self.most_height}, "
                    f"got {(low, high)}"
                )
        if self.final_steps is not None:
            at_least("final_steps", self.final_steps, 1)

    @property
    def elite_count(self) -> int:
        """At least one where the share is above 0."""
        return math.ceil(self.elite * self.population)

    @property
    def steps_in_the_end(self) -> int:
        """Of the final trainings."""
        return self.final_steps or 3 * self.train_steps

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


PRESETS: Registry[EvolutionSettings] = Registry("preset of the search for losses")
PRESETS.add("paper", EvolutionSettings())
#: Beside the paper's way: candidates of one size, and the known losses among the first ones (lab notes).
_OURS = EvolutionSettings(known_losses=True, same_scale=True, parsimony=1.4, meta_rate=1e-2)
PRESETS.add("small", replace(_OURS, generations=20, local_steps=50, train_steps=300, rejection_steps=100))
PRESETS.add(
    "smoke",
    replace(
        _OURS,
        population=8,
        generations=2,
        local_steps=3,
        train_steps=40,
        rejection_steps=20,
        finalists=2,
        final_seeds=1,
    ),
)
