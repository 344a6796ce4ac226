"""Area under the precision-recall curve as recalls at fixed precisions, each a constraint with a price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._checks import at_least, below_one, one_of, positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward
from ..rows import as_rows
from .auc_margin import check_columns
from .dual import ascending

CARD = Card(
    name="aucpr",
    title="AUCPR as a Lagrangian over recalls at fixed precision",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("average_precision", "precision_at_recall"),
    cost="O(anchors x n)",
    stateful=True,
    monotone=True,
    paper="Eban et al., Scalable Learning of Non-Decomposable Objectives, AISTATS 2017",
)


@final
class Aucpr(nn.Module):
    """`mean_k mean_i [t (1 + l_k (1 - p_k)) loss(z + b_k) + (1 - t) l_k p_k loss(-z - b_k)] - l_k (1 - p_k) pi c`.

    The anchors k are precisions `p_k`, evenly spaced; each has a threshold `-b_k`, learned, and a price `l_k >= 0` of
    missing its precision, raised as long as it is missed. pi is the share of positives. Positives count more than in
    cross-entropy, negatives as the prices say. Give `loss.parameters()` to the optimiser of the model: the gradient
    of the prices is reversed, so every optimiser that descends will do.

    Args:
        anchors: how many precisions.
        lowest: the precisions lie in `(lowest, 1)`.
        dual_rate: how fast prices move against the other parameters, > 0.
        priors: the share of positives, one number or one for each column; None takes that of each batch.
        surrogate: "logistic" (c = log 2) or "hinge" (c = 1).
        columns: 1 to share thresholds and prices between all labels or classes, or their number.

    Returns of a call:
        A scalar, the mean over the columns. It is a Lagrangian: negative values are normal. Examples count one by one,
        so a column without positives or without negatives counts as well.

    Raises:
        ConfigError: shapes that fit no kind, another number of columns than given, or an option out of its range.

    Differs from the paper: its prices are `l_k (1 - p_k)` here, as in the authors' code, so that none needs to grow
    beyond bounds at high precision; a mean over anchors in the place of an integral; `ascending` keeps prices at zero
    or above, where the authors' code takes the absolute value.

    >>> loss = Aucpr(anchors=1)  # one precision, 1/2, at the price of 1
    >>> value = loss(torch.zeros(2), torch.tensor([0, 1])).detach()
    >>> round(float(value) / math.log(2), 4)  # (1.5 + 0.5) / 2 of loss(0) = log 2, less 1/2 x 1/2 log 2
    0.75
    """

    precisions: Tensor
    priors: Tensor | None

    def __init__(
        self,
        *,
        anchors: int = 20,
        lowest: float = 0.0,
        dual_rate: float = 0.1,
        priors: float | Sequence[float] | None = None,
        surrogate: str = "logistic",
        columns: int = 1,
    ) -> None:
        super().__init__()
        at_least("anchors", anchors, 1)
        at_least("columns", columns, 1)
        below_one("lowest", lowest)
        self.dual_rate = positive("dual_rate", dual_rate)
        self.surrogate = one_of("surrogate", surrogate, ("logistic", "hinge"))
        steps = torch.arange(1, anchors + 1, dtype=torch.float64) / (anchors + 1)
        self.register_buffer("precisions", lowest + (1 - lowest) * steps)
        self.register_buffer("priors", _priors(priors))
        self.bias = nn.Parameter(torch.zeros(anchors, columns))
        self.price = nn.Parameter(torch.ones(anchors, columns))

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        rows, truth = as_rows(scores, targets)
        check_columns(self.bias.shape[1], len(rows))
        if self.priors is not None:
            check_columns(len(self.priors), len(rows))
        bias, price = self.bias.to(rows), ascending(self.price, rate=self.dual_rate).to(rows)
        precision = self.precisions.to(rows)[:, None]
        signs = 2 * truth - 1
        right = signs * (rows + bias[:, :, None])  # (anchors, columns, N)
        each, unit = (
            (F.softplus(-right), math.log(2)) if self.surrogate == "logistic" else ((1 - right).clamp(min=0), 1)
        )
        of_positives, of_negatives = 1 + price * (1 - precision), price * precision
        weights = truth * of_positives[:, :, None] + (1 - truth) * of_negatives[:, :, None]
        share = truth.mean(dim=-1) if self.priors is None else self.priors.to(rows)
        return ((weights * each).mean(dim=-1) - price * (1 - precision) * share * unit).mean()


def _priors(priors: float | Sequence[float] | None) -> Tensor | None:
    if priors is None:
        return None
    shares = torch.as_tensor(priors, dtype=torch.float64).reshape(-1)
    if not bool(((shares > 0) & (shares < 1)).all()):
        raise ConfigError(f"priors must lie between 0 and 1, got {shares.tolist()}")
    return shares


ENTRY = LossEntry(card=CARD, loss=Aucpr)
