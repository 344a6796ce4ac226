"""Losses of the difference between a value and its target."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._checks import positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision


def aligned(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Values and targets of one shape; `(N, 1)` goes with `(N,)`. Raises ConfigError where they do not fit.

    Subtracting `(N,)` from `(N, 1)` gives `(N, N)` without a word, the classic mistake of regression in torch.

    >>> [part.shape for part in aligned(torch.zeros(3, 1), torch.zeros(3))]
    [torch.Size([3]), torch.Size([3])]
    """
    one, other = (part[:, 0] if part.dim() == 2 and part.shape[1] == 1 else part for part in (scores, targets))
    if one.shape != other.shape or one.numel() == 0:
        raise ConfigError(
            f"values of shape {tuple(scores.shape)} do not go with targets of shape {tuple(targets.shape)}; give a "
            "target for each value"
        )
    return one, other.to(one.dtype)


@full_precision
def mse(scores: Tensor, targets: Tensor) -> Tensor:
    """`mean (f - y)^2`, the loss of the mean.

    Args:
        scores: values, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as many.

    Raises: ConfigError where the shapes do not fit.

    >>> float(mse(torch.tensor([[2.0], [0.0]]), torch.tensor([0.0, 0.0])))
    2.0
    """
    value, target = aligned(scores, targets)
    return (value - target).square().mean()


@full_precision
def mae(scores: Tensor, targets: Tensor) -> Tensor:
    """`mean |f - y|`, the loss of the median.

    Args, raises: as for `mse`.

    >>> float(mae(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0])))
    1.0
    """
    value, target = aligned(scores, targets)
    return (value - target).abs().mean()


@full_precision
def huber(scores: Tensor, targets: Tensor, *, delta: float = 1.0) -> Tensor:
    """`mean d^2 / 2` where `|d| <= delta`, else `delta (|d| - delta / 2)`: squares that outliers cannot dominate.

    Args, raises: as for `mse`; `delta` is where the line begins.

    >>> float(huber(torch.tensor([2.0, 0.5]), torch.tensor([0.0, 0.0])))
    0.8125
    """
    positive("delta", delta)
    value, target = aligned(scores, targets)
    return torch.nn.functional.huber_loss(value, target, delta=delta)


@full_precision
def quantile(scores: Tensor, targets: Tensor, *, share: float = 0.5) -> Tensor:
    """The pinball loss `mean max(q d, (q - 1) d)` with `d = y - f`: least where a share q of the targets lies below.

    Args, raises: as for `mse`; `share` is q, in (0, 1).

    >>> float(quantile(torch.tensor([0.0]), torch.tensor([1.0]), share=0.75))
    0.75
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"share must lie between 0 and 1, both excluded, got {share!r}; 0.5 is the median")
    value, target = aligned(scores, targets)
    difference = target - value
    return torch.maximum(share * difference, (share - 1) * difference).mean()


def _entry(loss: object, title: str, *aims: str, paper: str = "textbook", wraps: str | None = None) -> LossEntry:
    card = Card(
        name=loss.__name__,  # type: ignore[attr-defined]
        title=title,
        targets=("values",),
        aims_at=aims,
        cost="O(n)",
        bounds=(0.0, math.inf),
        paper=paper,
        wraps=wraps,
    )
    return LossEntry(card=card, loss=loss)  # type: ignore[arg-type]


ENTRIES: dict[str, LossEntry] = {
    entry.card.name: entry
    for entry in (
        _entry(mse, "Squared error of values", "mean_squared_error", "r2"),
        _entry(mae, "Absolute error of values", "mean_absolute_error"),
        _entry(
            huber,
            "Squared error near the target, absolute error far from it",
            "mean_absolute_error",
            paper="Huber: Robust Estimation of a Location Parameter, 1964",
            wraps="torch",
        ),
        _entry(
            quantile,
            "Pinball loss of a quantile",
            "mean_pinball_loss",
            paper="Koenker and Bassett: Regression Quantiles, 1978",
        ),
    )
}
