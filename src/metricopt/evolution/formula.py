"""Formulas: immutable trees over the target y, the prediction f(x), numbers and operators."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from .._errors import ConfigError
from .operators import OPERATORS

#: Larger or deeper trees are refused: nobody could read them, and walking them must not exhaust the stack.
MOST_NODES, MOST_HEIGHT = 500, 60
_LARGEST = 1e12


@final
@dataclass(frozen=True)
class Formula:
    """A node and what stands below it.

    Args:
        name: "y", "f", "number", or the name of an operator.
        children: its arguments.
        value: of a number.

    >>> square = Formula.of("square", Formula.of("sub", Y, F))
    >>> square.size, square.height, str(square)
    (4, 2, 'square(y - f(x))')
    >>> float(square(torch.tensor(1.0), torch.tensor(0.5)))
    0.25
    """

    name: str
    children: tuple[Formula, ...] = ()
    value: float = 0.0

    @staticmethod
    def of(name: str, *children: Formula) -> Formula:
        """An operator and its arguments; raises ConfigError for an unknown one or a wrong number of arguments."""
        operator = OPERATORS[name]
        if len(children) != operator.arity:
            raise ConfigError(f"operator {name!r} takes {operator.arity} arguments, got {len(children)}")
        return Formula(name, children)

    @staticmethod
    def number(value: float) -> Formula:
        """A constant; raises ConfigError where it is not finite or beyond 1e12."""
        if not math.isfinite(value) or abs(value) > _LARGEST:
            raise ConfigError(f"a number in a formula must be finite and at most {_LARGEST:g}, got {value!r}")
        return Formula("number", (), float(value))

    @cached_property
    def size(self) -> int:
        """Number of nodes."""
        return 1 + sum(child.size for child in self.children)

    @cached_property
    def height(self) -> int:
        """Edges on the longest way down."""
        return 1 + max(child.height for child in self.children) if self.children else 0

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all nodes."""
        return frozenset((self.name,)).union(*(child.names for child in self.children))

    @property
    def is_loss(self) -> bool:
        """Whether target and prediction both occur: what has no y teaches nothing, what has no f(x) has no slope."""
        return {"y", "f"} <= self.names

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over the structure."""
        return hashlib.blake2b(str(self).encode(), digest_size=8).hexdigest()

    def nodes(self) -> Iterator[Formula]:
        """All nodes, each before its children, from left to right."""
        yield self
        for child in self.children:
            yield from child.nodes()

    def at(self, place: int) -> Formula:
        """The node that `nodes` gives at this place."""
        for child_at, child in self._children_at():
            if child_at <= place < child_at + child.size:
                return child.at(place - child_at)
        return self

    def replaced(self, place: int, other: Formula) -> Formula:
        """The same with the node at this place, and all below it, replaced."""
        if place == 0:
            return other
        changed = tuple(
            child.replaced(place - at, other) if at <= place < at + child.size else child
            for at, child in self._children_at()
        )
        return Formula(self.name, changed, self.value)

    def __call__(self, y: Tensor, f: Tensor) -> Tensor:
        """The value for each element.

        Args:
            y, f: targets and predictions of one shape.
        """
        if self.name == "y":
            return y
        if self.name == "f":
            return f
        if self.name == "number":
            return torch.full_like(f, self.value)
        return OPERATORS[self.name].apply(*(child(y, f) for child in self.children))

    def rounded(self, digits: int = 3) -> Formula:
        """The same with its numbers to so many significant digits, to be read."""
        if self.name == "number":
            return Formula("number", (), float(f"{self.value:.{digits}g}"))
        return Formula(self.name, tuple(child.rounded(digits) for child in self.children), self.value)

    def __str__(self) -> str:
        from .text import to_text

        return to_text(self)

    def _children_at(self) -> Iterator[tuple[int, Formula]]:
        at = 1
        for child in self.children:
            yield at, child
            at += child.size


#: The target and the prediction.
Y, F = Formula("y"), Formula("f")


def checked(formula: Formula) -> Formula:
    """The formula if it is small enough to be worked with. Raises ConfigError."""
    if formula.size > MOST_NODES or formula.height > MOST_HEIGHT:
        raise ConfigError(
            f"a formula may have {MOST_NODES} nodes and a height of {MOST_HEIGHT}, this one has {formula.size} and "
            f"{formula.height}; simplify it"
        )
    return formula
