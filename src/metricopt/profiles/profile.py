"""What a value function reads: a few dozen numbers about outputs and targets, differentiable, without a metric call."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._errors import ConfigError

#: Columns that are 0 where everything fits, and else negative.
_FIT = ("log-likelihood", "log-odds of the own class", "- mean absolute error")


class Column(NamedTuple):
    """One number of a profile.

    Args:
        name: in words, for the reader: "recall of class 3".
        family: columns of one family share one relevance in the value function.
    """

    name: str
    family: str


class Profile(ABC):
    """`(outputs, targets)` to `(n, K)` numbers, the larger the better where a column has a direction.

    What is counted is counted exactly, and its gradient is that of a soft count (`straight_through`): so a metric
    that is made of counts is a plain function of the columns, and phi can still be moved along them.

    Subclasses give the outputs of a kind their columns; `identity` says whether two profiles are the same, whatever
    model they are read from.
    """

    @property
    @abstractmethod
    def columns(self) -> tuple[Column, ...]:
        """What the numbers are, in order."""

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor, slices: Tensor | None = None) -> Tensor:
        """Numbers `(n, K)` of outputs `(n, N, ...)` against targets `(N, ...)`.

        Args:
            outputs: a population's.
            targets: shared by the population.
            slices: `(N, S)`, 1 where a row belongs to a slice; None where the profile has no slices.
        """

    def fits(self, outputs: Any, targets: Any) -> bool:
        """Whether such outputs of one phi and such targets can be read."""
        del targets
        return isinstance(outputs, Tensor)

    def for_data(self, outputs: Any, targets: Any) -> Profile:
        """The same with what only outputs of one phi and all targets tell, such as how many classes there are."""
        del outputs, targets
        return self

    def of_targets(self, targets: Any) -> Tensor:
        """Targets as `__call__` takes them; a profile of records makes a tensor of them."""
        found: Tensor = targets
        return found

    def of_outputs(self, outputs: Any, targets: Any) -> Tensor:
        """Outputs of a population as `__call__` takes them; records are matched with those of `targets`."""
        del targets
        found: Tensor = outputs
        return found

    @property
    def identity(self) -> str:
        """Sixteen hex digits over the columns: what is learned from one profile holds for all that share it."""
        text = "\n".join(f"{type(self).__name__}:{column.family}:{column.name}" for column in self.columns)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def fit_column(self) -> int | None:
        """The place of the column that says how well outputs fit, 0 at best: it shows how far training rows were
        learned by heart. None where there is none."""
        names = [column.name for column in self.columns]
        return next((names.index(name) for name in _FIT if name in names), None)

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column.family for column in self.columns))

    def family_index(self) -> Tensor:
        """`(K,)`: the number of each column's family."""
        names = self.families
        return torch.tensor([names.index(column.family) for column in self.columns])


def straight_through(exact: Tensor, soft: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `soft`.

    >>> soft = torch.tensor(0.3, requires_grad=True)
    >>> float(straight_through(torch.tensor(1.0), 2 * soft).detach())
    1.0
    """
    return exact.detach() + (soft - soft.detach()) if soft.requires_grad else exact


def members(names: Sequence[str], slices: Tensor | None, like: Tensor) -> Tensor:
    """`(S, N)`: the rows of each slice that a profile looks into, none where it has no slices."""
    if not names:
        return like.new_zeros(0, 0)
    if slices is None or slices.shape[1] != len(names):
        got = "none" if slices is None else f"those of {slices.shape[1]}"
        raise ConfigError(f"the profile reads {len(names)} slices and needs to know which rows are in them, got {got}")
    return slices.to(like).T


def spread(scores: Tensor) -> Tensor:
    """Standard deviation over rows, `(n, N, ...)` to `(n, 1, ...)`: a constant that soft steps are measured in."""
    return scores.detach().std(dim=1, keepdim=True).clamp_min(1e-3)


def named(families: Sequence[tuple[str, Sequence[str]]]) -> tuple[Column, ...]:
    """Columns from (family, names) in order."""
    return tuple(Column(name, family) for family, names in families for name in names)


def ratio(part: Tensor, whole: Tensor, *, least: float = 0.01) -> Tensor:
    """`part / whole` of shares of the rows, 0 for nothing of nothing.

    The gradient is that of a whole of at least `least`: where a class is hardly predicted, the exact one is so steep
    that it drowns all others.
    """
    exact = part / whole.clamp_min(1e-6)
    return straight_through(exact, part / whole.clamp_min(least)) if part.requires_grad else exact
