"""What spares training: candidates that are known, that train like a known one, or that cannot train anything."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._random import generator
from .formula import Formula
from .loss_population import FormulaLosses, Outputs, encoded, predictions

#: Classes of the made-up problem that predictions are improved on directly.
_CLASSES, _ROWS = 4, 100
_DIGITS = 4


def slopes_of(formulas: Sequence[Formula], outputs: Outputs) -> Tensor:
    """`(n, M)` derivatives in f(x) on a fixed grid of targets and predictions."""
    y = torch.tensor([-1.0, -0.3, 0.4, 1.2]) if outputs == "values" else torch.tensor([0.0, 1.0])
    f = torch.linspace(-2.017, 2.013, 31) if outputs == "values" else torch.linspace(0.0071, 0.9937, 31)
    grid = f.repeat(len(formulas), len(y), 1).requires_grad_()
    values = FormulaLosses(formulas, outputs).elementwise(y[:, None].expand(-1, len(f)), grid)
    if not values.requires_grad:
        return torch.zeros(len(formulas), grid[0].numel())
    (found,) = torch.autograd.grad(values.sum(), grid, allow_unused=True)
    return torch.zeros(len(formulas), grid[0].numel()) if found is None else found.flatten(1)


def slope_key(slopes: Tensor) -> str | None:
    """A name for the slopes of one formula: equal for formulas that train alike. None where they train nothing.

    Differs from the reference code, which compares two digits of the norm of the slopes: loss and negative loss have
    equal norms.
    """
    if not bool(slopes.isfinite().all()) or float(slopes.abs().max()) < 1e-9:
        return None
    return " ".join(f"{value:.{_DIGITS - 1}e}" for value in slopes[::2].tolist())


def can_train(formulas: Sequence[Formula], outputs: Outputs, *, steps: int) -> list[bool]:
    """The rejection protocol: whether predictions that are moved directly, without a network, come closer to their
    targets.

    One batch of made-up scores follows the slope of each formula with Adam, for `steps` steps. A formula passes
    where the distance between predictions and targets gets smaller: for classes the mean prediction of what is right
    must rise above that of what is wrong.

    Differs from the paper: made-up scores, so that it costs no network; and separation in place of the error rate,
    since a loss that is good for a rare class may raise the error rate.
    """
    if not formulas:
        return []
    source = generator("rejection", len(outputs))
    columns = {"binary": 1, "values": 1, "multiclass": _CLASSES, "multilabel": _CLASSES}[outputs]
    scores = torch.randn(_ROWS, columns, generator=source)
    if outputs == "values":
        targets = torch.randn(_ROWS, generator=source)
    elif outputs == "multiclass":
        targets = torch.randint(columns, (_ROWS,), generator=source)
    else:
        targets = (torch.rand(_ROWS, columns, generator=source) < 0.4).float()
    y, losses = encoded(targets, outputs, columns), FormulaLosses(formulas, outputs)
    moved = _moved(scores.repeat(len(formulas), 1, 1), losses, targets, steps)
    before, after = (distance(predictions(each, outputs), y, outputs) for each in (scores[None], moved))
    return [bool(one.isfinite() and one < before[0] - 1e-6) for one in after]


def distance(f: Tensor, y: Tensor, outputs: Outputs) -> Tensor:
    """`(n,)`: the squared error of values; for classes how far what is right does not stand above what is wrong."""
    if outputs == "values":
        return (f - y).square().mean((1, 2))
    right, wrong = (f * y).sum((1, 2)) / y.sum(), (f * (1 - y)).sum((1, 2)) / (1 - y).sum()
    return wrong - right


def _moved(scores: Tensor, losses: FormulaLosses, targets: Tensor, steps: int, rate: float = 0.01) -> Tensor:
    from .._adam import Adam

    optimizer = Adam(rate)
    for _ in range(steps):
        at = scores.detach().requires_grad_()
        value = losses(at, targets)
        if not value.requires_grad:
            break
        (slope,) = torch.autograd.grad(value.sum(), at)
        optimizer.step(scores, slope)
    return scores
