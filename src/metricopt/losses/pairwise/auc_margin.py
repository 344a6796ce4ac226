"""AUC-margin loss: the squared pairwise loss as a game of three numbers, one example at a time."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..._checks import at_least, positive
from ..._errors import ConfigError
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward
from ..rows import as_rows, has_both, mean_where
from .dual import ascending

CARD = Card(
    name="auc_margin",
    title="AUC-margin loss in its min-max form",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("auroc",),
    cost="O(n)",
    stateful=True,
    paper="Yuan et al., Large-scale Robust Deep AUC Maximization, ICCV 2021",
)


@final
class AucMargin(nn.Module):
    """`E+ (h - a)^2 + E- (h - b)^2 + 2 alpha (m + E- h - E+ h) - alpha^2`: min over a and b, max over alpha >= 0.

    h is the sigmoid of the score, E+ and E- the means over positives and negatives. At the saddle `a = E+ h`,
    `b = E- h` and `alpha = max(0, m + E- h - E+ h)`. The three are parameters: give `loss.parameters()` to the
    optimiser of the model. The gradient of alpha is reversed, so every optimiser that descends will do.

    Args:
        margin: m, > 0.
        columns: 1 to share a, b and alpha between all labels or classes, or their number, to have three for each.

    Returns of a call:
        A scalar: the mean over the columns that have both positives and negatives, 0 where none has. It may be
        negative: it is the value of a game.

    Raises:
        ConfigError: shapes that fit no kind, or another number of columns than given.

    Differs from the paper: divided by p (1 - p), p the share of positives in the batch, so that the expectations are
    means (the second version of the authors' code); alpha starts at m, where it is best for scores that are
    all equal, and not at 0, where low scores of positives pay; it is kept at zero or above by `ascending`, not by an
    optimiser of its own.

    Beside libauc's `AUCMLoss` (first version, over p (1 - p)), n = 4,096, float32: value and gradient equal to 3e-7.

    >>> loss = AucMargin()
    >>> round(float(loss(torch.zeros(4), torch.tensor([0, 0, 1, 1])).detach()), 4)
    1.5
    """

    def __init__(self, *, margin: float = 1.0, columns: int = 1) -> None:
        super().__init__()
        self.margin = positive("margin", margin)
        at_least("columns", columns, 1)
        self.a = nn.Parameter(torch.zeros(columns))
        self.b = nn.Parameter(torch.zeros(columns))
        self.alpha = nn.Parameter(torch.full((columns,), float(margin)))

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        rows, truth = as_rows(scores, targets)
        check_columns(len(self.a), len(rows))
        a, b = self.a.to(rows), self.b.to(rows)
        alpha = ascending(self.alpha).to(rows)
        high = torch.sigmoid(rows)
        of_positives = truth / truth.sum(dim=-1, keepdim=True).clamp(min=1)
        of_negatives = (1 - truth) / (1 - truth).sum(dim=-1, keepdim=True).clamp(min=1)
        spread = of_positives * (high - a[:, None]).square() + of_negatives * (high - b[:, None]).square()
        short = self.margin + ((of_negatives - of_positives) * high).sum(dim=-1)
        return mean_where(spread.sum(dim=-1) + 2 * alpha * short - alpha.square(), has_both(truth))


def check_columns(own: int, got: int) -> None:
    """Raises ConfigError where a loss with variables for `own` columns meets another number of them."""
    if own not in (1, got):
        raise ConfigError(
            f"the loss has variables for {own} columns, these targets have {got}; make it with columns={got}, or "
            "with columns=1 to share them"
        )


ENTRY = LossEntry(card=CARD, loss=AucMargin)
