"""The bilinear loss that Learning to Teach with Dynamic Loss Functions lets a teacher set."""

from __future__ import annotations

from typing import final, get_args

import torch
from torch import Tensor, nn

from ..._checks import at_least, one_of
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward
from .log_probabilities import Link, log_probabilities

CARD = Card(
    name="l2t_dlf",
    title="Dynamic loss of L2T-DLF: bilinear in log-probabilities and target, set by a teacher",
    targets=("multiclass",),
    aims_at=("mcr", "accuracy"),
    cost="O(n)",
    stateful=True,
    tier="contrib",
    needs={"classes": 3},
    paper="Wu et al.: Learning to Teach with Dynamic Loss Functions, NeurIPS 2018",
)


@final
class L2tDlf(nn.Module):
    """`mean link(-(log p)' W y + b' y)` with p the softmax of the scores and y the one-hot target.

    `W = I`, `b = 0`, the start, with the identity link is plain cross-entropy. W and b are the buffers `weight` and
    `bias`: a teacher writes them, or passes its output to `torch.func.functional_call`, through which its own
    gradient flows.

    With the sigmoid, this is `ala` (`Phi = W'`) plus 1, and with b its example weights can be moved: the slope of the
    sigmoid is largest for the examples whose sum is near 0.

    Differs from the paper: the link is the identity unless asked for, as for `ala`: with the paper's sigmoid no W
    and b give cross-entropy (`W = I` is `1 / (1 + p)`), but without it a negative entry of W leaves the loss without
    a lower bound. b is an offset for each class; equal entries are a single offset.

    Args:
        classes: K.
        link: "identity", or the paper's "sigmoid".

    >>> loss = L2tDlf(classes=3, link="sigmoid")
    >>> round(float(loss(torch.zeros(2, 3), torch.tensor([0, 2]))), 4)
    0.75
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, classes: int, *, link: Link = "identity") -> None:
        super().__init__()
        self.classes = at_least("classes", classes, 2)
        one_of("link", link, get_args(Link))
        self.link: Link = link
        self.register_buffer("weight", torch.eye(classes))
        self.register_buffer("bias", torch.zeros(classes))

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
        sums = self.bias.to(log_p)[labels] - (self.weight.to(log_p).T[labels] * log_p).sum(dim=-1)
        return (sums if self.link == "identity" else torch.sigmoid(sums)).mean()


ENTRY = LossEntry(card=CARD, loss=L2tDlf)
