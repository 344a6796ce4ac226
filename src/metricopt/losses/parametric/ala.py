"""The loss that Adaptive Loss Alignment controls: cross-entropy with a matrix of class correlations."""

from __future__ import annotations

from typing import final, get_args

import torch
from torch import Tensor, nn

from ..._checks import at_least, one_of
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward
from .log_probabilities import Link, log_probabilities

CARD = Card(
    name="ala",
    title="Class-confusion loss of ALA: log-probabilities weighted by an adjustable K x K matrix",
    targets=("multiclass",),
    aims_at=("mcr", "accuracy", "average_precision"),
    cost="O(n)",
    stateful=True,
    tier="contrib",
    needs={"classes": 3},
    paper="Huang et al.: Addressing the Loss-Metric Mismatch with Adaptive Loss Alignment, ICML 2019, Eq. 6",
)


@final
class Ala(nn.Module):
    """`mean -link(y' Phi log p)` with p the softmax of the scores and y the one-hot target.

    Row y of Phi says what a target of class y asks of each class: `Phi[y, c] > 0` raises its probability, `< 0`
    lowers it. `Phi = I`, the start, with the identity link is plain cross-entropy. Phi is the buffer `phi`: whoever
    controls the loss writes it, or passes it to `torch.func.functional_call`. It is no parameter, because descending
    the loss in it would only make the loss small.

    Differs from the paper: the link is the identity unless asked for. The sigmoid of the paper keeps its family from
    containing cross-entropy: at `Phi = I` it is `-p / (1 + p)` for a target of probability p, whose slope in log p
    vanishes for confident mistakes. It keeps the value in [-1, 0] though; under the identity a negative entry of Phi
    leaves the loss without a lower bound, so set "sigmoid" where the controller uses them (the paper's Phi lies in
    [-1, 1] and is symmetric; that is left to the controller).

    Args:
        classes: K.
        link: "identity", or the paper's "sigmoid".

    >>> loss = Ala(classes=3)
    >>> scores, targets = torch.zeros(2, 3), torch.tensor([0, 2])
    >>> round(float(loss(scores, targets)), 4)
    1.0986
    >>> _ = loss.phi.copy_(torch.diag(torch.tensor([2.0, 1.0, 1.0])))
    >>> round(float(loss(scores, targets)), 4)
    1.6479
    """

    phi: Tensor

    def __init__(self, classes: int, *, link: Link = "identity") -> None:
        super().__init__()
        self.classes = at_least("classes", classes, 2)
        one_of("link", link, get_args(Link))
        self.link: Link = link
        self.register_buffer("phi", torch.eye(classes))

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            scores: raw scores, `(N, K)`; `(N,)` or `(N, 1)` for K = 2.
            targets: `(N,)` class indices.

        Raises:
            ConfigError: shapes that fit no kind, or another number of classes.
        """
        log_p, labels = log_probabilities(scores, targets, self.classes, CARD.name)
        agreement = (self.phi.to(log_p)[labels] * log_p).sum(dim=-1)
        return -(agreement if self.link == "identity" else torch.sigmoid(agreement)).mean()


ENTRY = LossEntry(card=CARD, loss=Ala)
