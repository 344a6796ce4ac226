"""Score-oriented loss: the confusion matrix expected under a random threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from ..._checks import one_of
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision
from .anyloss import mean_of
from .counts import Average, Counts, ratio, soft_counts

Score = Literal["accuracy", "f1", "jaccard", "youden_j", "balanced_accuracy"]

#: Scores by name: the formulas of the paper's Table 1 that are ratios of counts, with 0/0 as 1.
SCORES: Mapping[str, Callable[[Counts], Tensor]] = MappingProxyType(
    {
        "accuracy": lambda c: (c.tp + c.tn) / c.n,
        "f1": lambda c: ratio(2 * c.tp, c.positives + c.predicted),
        "jaccard": lambda c: ratio(c.tp, c.positives + c.fp),
        "youden_j": lambda c: ratio(c.tp, c.positives) + ratio(c.tn, c.negatives) - 1,
        "balanced_accuracy": lambda c: (ratio(c.tp, c.positives) + ratio(c.tn, c.negatives)) / 2,
    }
)

CARD = Card(
    name="score_oriented",
    title="Score-oriented loss: one minus a score of the counts expected under a random threshold",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("f1", "accuracy", "mcr", "jaccard", "balanced_accuracy", "youden_j"),
    cost="O(n)",
    monotone=True,
    by_aim={
        "accuracy": {"score": "accuracy"},
        "mcr": {"score": "accuracy"},
        "jaccard": {"score": "jaccard"},
        "balanced_accuracy": {"score": "balanced_accuracy"},
        "youden_j": {"score": "youden_j"},
    },
    bounds=(0.0, 2.0),
    paper="Marchetti et al.: Score-Oriented Loss (SOL) Functions, Pattern Recognition 132, 2022, arXiv 2103.15522",
)


@full_precision
def score_oriented(
    scores: Tensor,
    targets: Tensor,
    *,
    score: Score | Callable[[Counts], Tensor] = "f1",
    prior: Literal["cosine", "uniform"] = "cosine",
    mu: float = 0.5,
    delta: float = 0.1,
    average: Average = "macro",
) -> Tensor:
    """`1 - score` of the counts with `F(p)` in the place of labels, F the distribution of the threshold.

    cosine: `F(p) = (1 + x + sin(pi x) / pi) / 2`, uniform: `F(p) = (1 + x) / 2`, `x = (p - mu) / delta` in [-1, 1].
    Examples further than delta from mu get no gradient: that is the method. Classes are taken one against the rest.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: as for `cross_entropy`.
        score: a name of `SCORES`, or a formula over `Counts`, higher better.
        prior: the distribution of the threshold.
        mu, delta: its centre, and half its width, > 0.
        average: over classes or labels: "macro", "micro" or "weighted".

    Differs from the paper: `1 - score` instead of `-score`.

    >>> import torch
    >>> round(float(score_oriented(torch.tensor([9.0, -9.0, 0.0]), torch.tensor([1, 0, 1]))), 3)
    0.143
    """
    one_of("prior", prior, ("cosine", "uniform"))
    if not delta > 0 or not math.isfinite(delta) or not 0 < mu < 1:
        raise ConfigError(f"mu must lie between 0 and 1 and delta be positive, got mu={mu!r}, delta={delta!r}")
    if isinstance(score, str):
        one_of("score", score, tuple(SCORES))
    of = SCORES[score] if isinstance(score, str) else score

    def chance(probability: Tensor) -> Tensor:
        x = ((probability - mu) / delta).clamp(-1, 1)
        return (1 + x) / 2 if prior == "uniform" else (1 + x + torch.sin(math.pi * x) / math.pi) / 2

    counts = soft_counts(
        scores, targets, lambda z: chance(torch.sigmoid(z)), lambda z: chance(torch.softmax(z, dim=-1))
    )
    return 1 - mean_of(of, counts, average)


ENTRY = LossEntry(card=CARD, loss=score_oriented)
