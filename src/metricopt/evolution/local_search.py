"""Tuning the constants of formulas by gradients: through the training that they cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from .._adam import Adam
from .._errors import ConfigError
from .._random import generator
from .formula import Formula
from .learners import BaseTask, Learners, training_mode
from .loss_population import FormulaLosses, LossPopulation, flat


class Weighted(Protocol):
    """Losses with weights that slopes are taken in."""

    def __len__(self) -> int: ...

    def with_weights(self, weights: Tensor) -> LossPopulation: ...


def first_weights(formulas: Sequence[Formula], *, spread: float = 1e-3) -> Tensor:
    """One weight for each node but the root, drawn from N(1, spread^2) by what the formula is, not by where it stands.

    >>> from .text import parse
    >>> first_weights([parse("square(y - f(x))")]).shape
    torch.Size([3])
    """
    drawn = [
        1 + spread * torch.randn(formula.size - 1, generator=generator("weights", formula.digest))
        for formula in formulas
    ]
    return torch.cat(drawn)


def tuned(
    task: BaseTask,
    formulas: Sequence[Formula],
    *,
    steps: int,
    seed: int,
    unroll: int = 1,
    rate: float = 1e-3,
    first_order: bool = False,
) -> Tensor:
    """Weights of the nodes after `steps` steps of Adam on what a training with them leads to (EvoMAL, section on local
    search).

    Each step begins with a fresh network, trains it for `unroll` steps of SGD on the formula, and follows the slope
    of the task's objective on a batch of validation rows in the weights.

    Args:
        task: network, rows and objective.
        formulas: one for each member; they are tuned side by side.
        steps: of Adam.
        seed: of networks and batches, the same for all formulas.
        unroll: SGD steps that the slope is taken through.
        rate: of Adam.
        first_order: leave out how a later step depends on the place that an earlier one led to.

    Returns: weights as `FormulaLosses` takes them; those of a formula whose slope is not finite stay as they are.
    """
    losses = FormulaLosses(formulas, task.outputs)
    weights = first_weights(formulas).to(task.x.device).requires_grad_()
    optimizer = Adam(rate)
    for step in range(steps):
        slope = weight_slopes(task, losses, weights, seed=seed, step=step, unroll=unroll, first_order=first_order)
        optimizer.step(weights.detach(), torch.where(slope.isfinite(), slope, 0.0))
    return weights.detach()


def weight_slopes(
    task: BaseTask,
    losses: Weighted,
    weights: Tensor,
    *,
    seed: int,
    step: int = 0,
    unroll: int = 1,
    first_order: bool = False,
) -> Tensor:
    """d objective / d weights, through `unroll` steps of training from a fresh network."""
    source = generator("local search", seed, step)
    learners = Learners(task.net, len(losses), source=source)
    training_mode(task.net)
    weighted, parameters = losses.with_weights(weights), learners.parameters
    for _ in range(unroll):
        rows = torch.randint(len(task.x), (min(task.batch, len(task.x)),), generator=source)
        at = (
            {name: value.detach().requires_grad_() for name, value in parameters.items()} if first_order else parameters
        )
        now = weighted(learners.scores(task.x[rows], at), task.y[rows])
        if not now.requires_grad:
            return torch.zeros_like(weights)
        slopes = torch.autograd.grad(now.sum(), list(at.values()), create_graph=True, allow_unused=True)
        parameters = {
            name: value if slope is None else value - task.rate * slope
            for (name, value), slope in zip(parameters.items(), slopes, strict=True)
        }
    rows = torch.randint(len(task.val_x), (min(task.batch, len(task.val_x)),), generator=source)
    scores = learners.scores(task.val_x[rows], parameters)
    reached = torch.stack([task.objective(flat(one, task.outputs), task.val_y[rows]) for one in scores])
    # The sum keeps members apart: a weight reaches the objective of its own member only.
    (found,) = torch.autograd.grad(reached.sum(), weights, allow_unused=True)
    return torch.zeros_like(weights) if found is None else found


def folded(formula: Formula, weights: Sequence[float]) -> Formula:
    """The formula with its weights written into it.

    Raises: ConfigError where there is not one weight for each node but the root.

    >>> from .text import parse
    >>> str(folded(parse("square(y - f(x))"), [2.0, 1.0, 0.5]))
    'square(2 * (y - 0.5 * f(x)))'
    """
    if len(weights) != formula.size - 1:
        raise ConfigError(f"a formula of {formula.size} nodes has {formula.size - 1} weights, got {len(weights)}")
    left = iter(weights)

    def walk(node: Formula, root: bool) -> Formula:
        weight = 1.0 if root else next(left)
        inside = Formula(node.name, tuple(walk(child, False) for child in node.children), node.value)
        if node.name == "number":
            return Formula.number(weight * node.value)
        return inside if weight == 1.0 else Formula.of("mul", Formula.number(weight), inside)

    return walk(formula, True)
