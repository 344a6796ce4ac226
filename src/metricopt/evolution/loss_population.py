"""Many losses at once: each rates its own member of a population of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor
from torch.nn import functional as F

from .._scores import to_probabilities
from .._types import LossFunction
from .formula import Formula
from .operators import OPERATORS

#: What the scores of a network stand for, see `metricopt.workload`.
Outputs: TypeAlias = Literal["binary", "multiclass", "multilabel", "values"]
OUTPUTS: tuple[Outputs, ...] = ("binary", "multiclass", "multilabel", "values")


def predictions(scores: Tensor, outputs: Outputs) -> Tensor:
    """f(x) of raw scores `(..., B, C)`: probabilities of classes and labels, values as they are."""
    return scores if outputs == "values" else to_probabilities(scores, outputs)


def flat(scores: Tensor, outputs: Outputs) -> Tensor:
    """Scores as metrics and losses take them: `(N,)` where there is one column."""
    return scores[..., 0] if outputs in ("binary", "values") and scores.shape[-1] == 1 else scores


def encoded(targets: Tensor, outputs: Outputs, columns: int) -> Tensor:
    """y for each of the columns of f(x): `(B, C)`, one-hot for classes."""
    if outputs == "multiclass":
        return F.one_hot(targets.long(), columns).float()
    return targets.reshape(len(targets), columns).float()


class LossPopulation(ABC):
    """`(scores of each member, targets) -> one value for each member`, differentiable in the scores."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Mean over the rows of a batch.

        Args:
            scores: `(n, B, C)`.
            targets: `(B,)`, or `(B, C)` for several labels.

        Returns: `(n,)`.
        """


@final
class PlainLosses(LossPopulation):
    """Ordinary losses `(scores, targets) -> scalar`, one after the other."""

    def __init__(self, losses: Sequence[LossFunction], outputs: Outputs) -> None:
        self._losses, self._outputs = list(losses), outputs

    def __len__(self) -> int:
        return len(self._losses)

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        targets = targets.reshape(-1) if self._outputs in ("binary", "values") else targets
        return torch.stack(
            [loss(flat(one, self._outputs), targets) for loss, one in zip(self._losses, scores, strict=True)]
        )


@final
class FormulaLosses(LossPopulation):
    """Formulas, evaluated together: nodes of one height with one operator are one call, of whatever formula they are.

    Args:
        formulas: one for each member.
        outputs: what the scores stand for.
        weights: of all nodes but the roots, formula by formula, in the order of `Formula.nodes`; None for ones. What a
            node hands upwards is multiplied by its weight.
        scales: that the values are multiplied by, one for each formula; None for ones.

    >>> from .text import parse
    >>> losses = FormulaLosses([parse("square(y - f(x))"), parse("abs(y - f(x))")], "values")
    >>> losses(torch.tensor([[[2.0]], [[2.0]]]), torch.tensor([5.0]))
    tensor([9., 3.])
    """

    def __init__(
        self,
        formulas: Sequence[Formula],
        outputs: Outputs,
        weights: Tensor | None = None,
        scales: Tensor | None = None,
    ) -> None:
        self.formulas, self.outputs, self.weights, self.scales = list(formulas), outputs, weights, scales
        self.sizes = [formula.size - 1 for formula in self.formulas]
        self._groups = _groups(self.formulas)

    def __len__(self) -> int:
        return len(self.formulas)

    def with_weights(self, weights: Tensor) -> FormulaLosses:
        """The same formulas with other weights, without looking at the trees again."""
        copied = object.__new__(FormulaLosses)
        copied.__dict__.update(self.__dict__, weights=weights)
        return copied

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        f = predictions(scores, self.outputs)
        values = self.elementwise(encoded(targets, self.outputs, scores.shape[-1]), f).sum(-1).mean(-1)
        return values if self.scales is None else values * self.scales

    def elementwise(self, y: Tensor, f: Tensor) -> Tensor:
        """`(n, B, C)` values: `y` is `(B, C)`, shared by all, `f` is `(n, B, C)`."""
        values: dict[int, Tensor] = {}
        for name, ids, members, arguments, numbers, weighted in self._groups:
            if name == "y":
                found = y.expand(len(ids), *y.shape)
            elif name == "f":
                found = f if list(members) == list(range(len(f))) else torch.stack([f[member] for member in members])
            elif name == "number":
                found = torch.tensor(numbers, dtype=f.dtype, device=f.device).view(-1, 1, 1).expand(-1, *y.shape)
            else:
                stacked = (torch.stack([values[child] for child in position]) for position in arguments)
                found = OPERATORS[name].apply(*stacked)
            if self.weights is not None and weighted is not None:
                found = found * self.weights[weighted].view(-1, 1, 1)
            values.update(zip(ids, found.unbind(0), strict=True))
        return torch.stack([values[-1 - member] for member in range(len(self.formulas))])


#: Operator or leaf; the nodes; their formulas; the children at each position; values of numbers; places of the weights.
_Group: TypeAlias = tuple[str, list[int], list[int], list[list[int]], list[float], Tensor | None]


def _groups(formulas: Sequence[Formula]) -> list[_Group]:
    """Nodes that are computed together, lower ones first. Roots have negative ids: they carry no weight."""
    found: dict[tuple[int, bool, str], list[tuple[int, int, list[int], float]]] = defaultdict(list)
    count = 0

    def walk(node: Formula, member: int, root: bool) -> int:
        nonlocal count
        own = -1 - member if root else count
        count += not root
        children = [walk(child, member, False) for child in node.children]
        found[node.height, root, node.name].append((own, member, children, node.value))
        return own

    for member, formula in enumerate(formulas):
        walk(formula, member, True)
    groups: list[_Group] = []
    for (_, root, name), nodes in sorted(found.items(), key=lambda entry: entry[0]):
        ids = [own for own, _, _, _ in nodes]
        arguments = [list(position) for position in zip(*(children for _, _, children, _ in nodes), strict=True)]
        weighted = None if root else torch.tensor(ids)
        groups.append((name, ids, [m for _, m, _, _ in nodes], arguments, [v for _, _, _, v in nodes], weighted))
    return groups
