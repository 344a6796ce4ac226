"""Cost-sensitive cross-entropy whose minimiser, at the right costs, maximises F-beta."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._checks import at_least, positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision
from ..shapes import as_columns

CARD = Card(
    name="cost_sensitive_f",
    title="Cross-entropy with the costs of misses and false alarms that F-beta implies",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("f_beta", "f1"),
    cost="O(n)",
    monotone=("binary", "multilabel"),
    bounds=(0.0, math.inf),
    paper="Parambath, Usunier, Grandvalet: Optimizing F-Measures by Cost-Sensitive Classification, NeurIPS 2014",
)


@full_precision
def cost_sensitive_f(scores: Tensor, targets: Tensor, *, beta: float = 1.0, t: float | None = None) -> Tensor:
    """`mean (1 + b^2 - t) y softplus(-z) + t (1 - y) softplus(z)`, over examples and columns.

    A miss costs `1 + b^2 - t` and a false alarm t. At t equal to the best F-beta that can be had, the classifier with
    the least cost has it. That value is not known before: train one model for each of `cost_grid(beta)` and keep the
    one whose F-beta is best on validation data. For a calibrated model this is the same as to move its threshold
    to `t / (1 + b^2)`.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`; classes one against the rest by their log-odds.
        targets: as for `cross_entropy`.
        beta: weight of recall against precision, > 0.
        t: in (0, 1 + b^2); a half if None.

    >>> import torch
    >>> round(float(cost_sensitive_f(torch.zeros(2), torch.tensor([1, 0]))), 4)  # costs of 1.5 and 0.5
    0.6931
    """
    top = 1 + positive("beta", beta) ** 2
    cost = 0.5 if t is None else t
    if not 0 < cost < top:
        raise ConfigError(f"t must lie between 0 and 1 + beta^2 = {top:g}, got {t!r}")
    columns, truth, _ = as_columns(scores, targets)
    weights = cost + (top - 2 * cost) * truth
    return F.binary_cross_entropy_with_logits(columns, truth, weight=weights)


def cost_grid(beta: float = 1.0, points: int = 19) -> list[float]:
    """`points` values of t, evenly inside (0, 1 + b^2).

    >>> cost_grid(points=3)
    [0.5, 1.0, 1.5]
    """
    top = 1 + positive("beta", beta) ** 2
    at_least("points", points, 1)
    return [float(x) for x in torch.linspace(0, top, points + 2, dtype=torch.float64)[1:-1]]


ENTRY = LossEntry(card=CARD, loss=cost_sensitive_f)
