"""Genetic programming on formulas: how the first ones are drawn, how they are crossed, changed and chosen.

Plain code, no DEAP: with one type of node and five moves it is shorter than the adapters would be, its random state is
a value, and its trees stay immutable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch

from .formula import F, Formula, Y
from .operators import OPERATORS
from .settings import EvolutionSettings

_LEAVES = (Y, F, Formula.number(1), Formula.number(-1))
#: What repairs a formula that lacks y or f(x): arithmetic of both.
_REPAIRS = ("add", "sub", "mul", "aq")


@final
class Breeder:
    """Draws formulas. All randomness comes from one generator.

    Args:
        settings: rates and heights.
        source: of every draw.
    """

    def __init__(self, settings: EvolutionSettings, source: torch.Generator) -> None:
        self.settings, self._source = settings, source
        self._operators = [operator for operator in OPERATORS.values() if operator.random]

    def first(self, count: int) -> list[Formula]:
        """Half of them full, half of them grown, of heights between the bounds in turn."""
        low, high = self.settings.first_heights
        return [self.tree(low + at % (high - low + 1), full=at % 2 == 0) for at in range(count)]

    def tree(self, height: int, *, full: bool) -> Formula:
        """A random formula that holds y and f(x)."""
        return self.repaired(self._grown(height, full, least=self.settings.first_heights[0]))

    def offspring(self, formulas: Sequence[Formula], errors: Sequence[float], count: int) -> list[Formula]:
        """The next candidates: crossed, mutated or as they were, by the rates of the settings."""
        found: list[Formula] = []
        while len(found) < count:
            draw = self._uniform()
            one = formulas[self.chosen(formulas, errors)]
            if draw < self.settings.crossover:
                other = formulas[self.chosen(formulas, errors)]
                found.append(self.crossed(one, other)[0])
            elif draw < self.settings.crossover + self.settings.mutation:
                found.append(self.mutated(one))
            else:
                found.append(one)
        return found

    def crossed(self, one: Formula, other: Formula) -> tuple[Formula, Formula]:
        """One-point crossover: a random part of each takes the place of the other's. Too high: the parents."""
        at, other_at = self._below(one.size), self._below(other.size)
        children = one.replaced(at, other.at(other_at)), other.replaced(other_at, one.at(at))
        first, second = (
            self._limited(self.repaired(child), parent) for child, parent in zip(children, (one, other), strict=True)
        )
        return first, second

    def mutated(self, formula: Formula) -> Formula:
        """A random part replaced by a new one."""
        low, high = self.settings.mutation_heights
        new = self._grown(low + self._below(high - low + 1), full=self._below(2) == 0, least=low)
        return self._limited(self.repaired(formula.replaced(self._below(formula.size), new)), formula)

    def repaired(self, formula: Formula) -> Formula:
        """The formula if y and f(x) occur; else with arithmetic of both in place of a random leaf."""
        if formula.is_loss:
            return formula
        leaves = [at for at, node in enumerate(formula.nodes()) if not node.children]
        pair = (Y, F) if self._below(2) == 0 else (F, Y)
        return formula.replaced(leaves[self._below(len(leaves))], Formula.of(_REPAIRS[self._below(4)], *pair))

    def chosen(self, formulas: Sequence[Formula], errors: Sequence[float]) -> int:
        """The place of the winner of a double tournament: of so many, each the winner by size of two, the one of least
        error."""
        rivals = [self._by_size(formulas) for _ in range(self.settings.tournament)]
        return min(rivals, key=lambda at: errors[at])

    def _by_size(self, formulas: Sequence[Formula]) -> int:
        one, other = self._below(len(formulas)), self._below(len(formulas))
        small, large = (one, other) if formulas[one].size <= formulas[other].size else (other, one)
        # At a parsimony of 1 both win alike, at 2 the smaller one always.
        return small if self._uniform() < self.settings.parsimony / 2 else large

    def _limited(self, child: Formula, parent: Formula) -> Formula:
        return child if child.height <= self.settings.most_height else parent

    def _grown(self, height: int, full: bool, least: int) -> Formula:
        """A tree of this height, or one that may end earlier, but not above `least`."""
        leaf_share = len(_LEAVES) / (len(_LEAVES) + len(self._operators))
        if height == 0 or (not full and least <= 0 and self._uniform() < leaf_share):
            return _LEAVES[self._below(len(_LEAVES))]
        operator = self._operators[self._below(len(self._operators))]
        children = tuple(self._grown(height - 1, full, least - 1) for _ in range(operator.arity))
        return Formula(operator.name, children)

    def _below(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self._source))

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._source))


def elite(errors: Sequence[float], count: int) -> list[int]:
    """Places of the best, none that failed; of equals the first.

    >>> elite([0.3, 0.1, float("inf"), 0.1], 2)
    [1, 3]
    """
    order = sorted((at for at, error in enumerate(errors) if error < math.inf), key=lambda at: errors[at])
    return order[:count]
