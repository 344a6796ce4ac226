"""A loss that is itself a network: a deep set over the pairs of target and score of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._checks import at_least
from ..._random import generator as named_generator
from ..card import Card, LossEntry
from ..classification.cross_entropy import cross_entropy
from ..full_precision import full_precision_forward
from ..shapes import as_columns

CARD = Card(
    name="learned_surrogate",
    title="Learned set-wise surrogate: a deep set over (target, score) pairs, to be fitted to a metric",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("mcr", "accuracy", "f1", "jaccard", "auroc", "mcc"),
    cost="O(n)",
    stateful=True,
    tier="contrib",
    paper="Grabocka, Scholz and Schmidt-Thieme: Learning Surrogate Losses, 2019 (arXiv 1905.10108)",
)


@final
class LearnedSurrogate(nn.Module):
    """`s CE + mean_c g(mean_i h(y_ic, p_ic))` with h and g small networks, p the probabilities and y the targets.

    The mean over the examples in between makes it a function of the batch as a set, so that it can stand in for
    metrics that are no mean over examples. Binary targets are one column c, labels one each, classes one each
    against the rest; all columns share h and g.

    All parameters are to be fitted to a metric by whoever controls the loss, with an optimiser of its own: they must
    not go into that of the model, which would only make the loss small.

    Differs from the paper, whose loss is `g(mean h)` alone (`residual=False`, random at the start): by default the
    networks learn what is to be added to s times cross-entropy, s a parameter too. That is the paper's family with one
    hand-made feature in h; its start, s = 1 and a last layer of g that is 0, is plain cross-entropy. The units are
    SiLU, so that the gradient that trains the model is continuous; h reads probabilities, not raw scores, and is so
    never asked about scores larger than any that it was fitted on.

    Args:
        width: units of each of the two layers of h and of the hidden layer of g.
        residual: whether cross-entropy is part of the family.
        generator: draws the initial weights; None is the same stream each time.

    >>> scores, targets = torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0, 1, 1])
    >>> round(float(LearnedSurrogate()(scores, targets).detach()), 4)
    0.4783
    >>> surrogate = LearnedSurrogate(residual=False)
    >>> bool(torch.isclose(surrogate(scores, targets), surrogate(scores.flip(0), targets.flip(0))))
    True
    """

    share: Tensor | None

    def __init__(self, *, width: int = 32, residual: bool = True, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.width = at_least("width", width, 1)
        generator = generator or named_generator(CARD.name)
        self.each = nn.ModuleList(_layers((2, width, width), generator))
        self.whole = nn.ModuleList(_layers((width, width, 1), generator))
        self.register_parameter("share", nn.Parameter(torch.ones(())) if residual else None)
        if residual:
            last = cast(nn.Linear, self.whole[-1])
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
            targets: as for `cross_entropy`.

        Raises:
            ConfigError: shapes that fit no kind.
        """
        columns, truth, _ = as_columns(scores, targets)
        pairs = torch.stack([truth, torch.sigmoid(columns)], dim=-1)
        learned = _through(self.whole, _through(self.each, pairs).mean(dim=0)).mean()
        if self.share is None:
            return learned
        return self.share.to(scores) * cross_entropy(scores, targets) + learned


def _layers(widths: tuple[int, ...], generator: torch.Generator) -> Iterable[nn.Linear]:
    """Linear layers drawn as PyTorch draws them, but from a generator."""
    for before, after in pairwise(widths):
        layer = nn.utils.skip_init(nn.Linear, before, after)
        bound = 1 / math.sqrt(before)
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        yield layer


def _through(layers: nn.ModuleList, x: Tensor) -> Tensor:
    """The layers with SiLU between them, in the dtype of `x`."""
    for number, layer in enumerate(layers):
        linear = cast(nn.Linear, layer)
        x = F.linear(x if number == 0 else F.silu(x), linear.weight.to(x), linear.bias.to(x))
    return x


ENTRY = LossEntry(card=CARD, loss=LearnedSurrogate)
