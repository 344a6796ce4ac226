"""A formula that was tried, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, final

import torch

from .._errors import CheckpointError, ConfigError
from .canonical import canonical
from .formula import Formula
from .learners import BaseTask, scales_like, taught
from .local_search import folded, tuned
from .loss_population import FormulaLosses
from .settings import EvolutionSettings
from .text import parse


@final
@dataclass(frozen=True)
class Candidate:
    """One formula with its constants and its error.

    Args:
        tree: in its canonical form, before its constants were tuned.
        weights: of its nodes, empty where they were not tuned.
        error: the metric on the validation rows after a short training, less is better; infinite where it failed.
        scale: that the formula is multiplied by.
    """

    tree: Formula
    weights: tuple[float, ...]
    error: float
    scale: float = 1.0

    @cached_property
    def formula(self) -> Formula:
        """With its constants written into it."""
        inside = folded(self.tree, self.weights) if self.weights else self.tree
        return inside if self.scale == 1 else Formula.of("mul", Formula.number(self.scale), inside)

    @property
    def shown(self) -> str:
        """The formula for a reader: constants of three digits, and none that are 1."""
        return str(canonical(self.formula.rounded()))

    def to_plain(self) -> list[Any]:
        """For JSON."""
        return [str(self.tree), list(self.weights), None if math.isinf(self.error) else self.error, self.scale]

    @classmethod
    def from_plain(cls, value: Any) -> Candidate:
        """What `to_plain` wrote. Raises CheckpointError."""
        try:
            text, weights, error, scale = value
            constants = tuple(float(one) for one in weights)
            found = cls(parse(text), constants, math.inf if error is None else float(error), float(scale))
            _ = found.formula  # one weight for each node, or it raises
            return found
        except (TypeError, ValueError, ConfigError) as problem:
            raise CheckpointError(f"a saved candidate cannot be read: {problem}. Begin the run anew.") from None


def tried(task: BaseTask, trees: Sequence[str], settings: EvolutionSettings, seed: int) -> list[Candidate]:
    """Tune the constants of formulas, train a network with each, side by side, and ask the metric: one call each.

    It runs in whatever process it is sent to; formulas travel as text.
    """
    formulas = [parse(text) for text in trees]
    weights, written = None, []
    if settings.local_steps:
        weights = tuned(
            task,
            formulas,
            steps=settings.local_steps,
            seed=seed,
            unroll=settings.unroll,
            rate=settings.meta_rate,
            first_order=settings.first_order,
        )
        written = _written(weights.tolist())
        weights = torch.tensor(written, device=task.x.device)
    losses = FormulaLosses(formulas, task.outputs, weights)
    scales = [1.0] * len(formulas)
    if settings.same_scale:
        scales = _written(scales_like(task.objective, losses, task, seed=seed))
        losses = FormulaLosses(formulas, task.outputs, weights, torch.tensor(scales, device=task.x.device))
    learners = taught(task, losses, steps=settings.train_steps, seed=seed)
    errors = [task.error(scores) for scores in learners.predict(task.val_x)]
    left = iter(written)
    each = [tuple(islice(left, size)) for size in losses.sizes]
    return [Candidate(*of) for of in zip(formulas, each, errors, scales, strict=True)]


def _written(numbers: Sequence[float]) -> list[float]:
    """Numbers as a formula shows them: what is trained is what is written."""
    return [float(f"{number:.4g}") for number in numbers]


#: Tries formulas, in this process or elsewhere, and gives the candidates in order.
Try = Callable[[list[str]], list[Candidate]]
