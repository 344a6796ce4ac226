"""Cross-entropy with example weights that a vector alpha draws from an embedding of the examples."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..._checks import at_least
from ..._errors import ConfigError
from ..._scores import flatten_binary, score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision_forward

CARD = Card(
    name="moew",
    title="Example-weighted cross-entropy of MOEW: weights from an embedding and an adjustable vector",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("mcr", "accuracy", "precision_at_recall", "average_precision"),
    cost="O(n)",
    stateful=True,
    bounds=(0.0, math.inf),
    tier="contrib",
    needs={"size": 3},
    paper="Zhao et al.: Metric-Optimized Example Weights, ICML 2019",
)


@final
class Moew(nn.Module):
    """`mean w_i CE_i` with `w_i = sigmoid(alpha' z_i) / mean_j sigmoid(alpha' z_j)`, z_i the embedding of example i.

    The embedding is the argument `embedding` of the call: the paper takes the code that an autoencoder gives
    (features, target). Without one it is the target itself, one-hot, as in the authors' MNIST experiment: then alpha
    weighs classes. `alpha = 0`, the start, is plain cross-entropy. Alpha is the buffer `alpha`: whoever controls the
    loss writes it, or passes it to `torch.func.functional_call`. It is no parameter, because descending the loss in it
    would only look away from the hard examples.

    Differs from the paper's code: multiclass scores get softmax cross-entropy, where the code sums the binary
    cross-entropies of one-hot targets. The weights are a softmax of log-sigmoids, so that they also stay finite where
    all sigmoids round to 0.

    Args:
        size: length of alpha and of an embedding. Without embeddings: the number of classes or labels, at least 2
            for binary targets, which use the first two entries.

    >>> loss = Moew(size=2)
    >>> scores, targets = torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0, 1, 1])
    >>> round(float(loss(scores, targets)), 4)
    0.4783
    >>> _ = loss.alpha.copy_(torch.tensor([0.0, -100.0]))
    >>> round(float(loss(scores, targets)), 4)
    0.6931
    """

    alpha: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = at_least("size", size, 1)
        self.register_buffer("alpha", torch.zeros(size))

    @full_precision_forward
    def forward(self, scores: Tensor, targets: Tensor, embedding: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
            targets: as for `cross_entropy`.
            embedding: `(N, size)`; None takes the targets.

        Raises:
            ConfigError: shapes that fit no kind, or an embedding of another size.
        """
        kind = score_kind(scores, targets)
        if kind == "multiclass":
            each = F.cross_entropy(scores, targets.long(), reduction="none")
            truth = F.one_hot(targets.long(), scores.shape[1])
        elif kind == "binary":
            flat, truth = flatten_binary(scores, targets)
            each = F.binary_cross_entropy_with_logits(flat, truth.to(flat.dtype), reduction="none")
            truth = F.one_hot(truth.long(), max(2, self.size))
        else:
            truth = targets
            each = F.binary_cross_entropy_with_logits(scores, truth.to(scores.dtype), reduction="none").mean(dim=-1)
        return (self._weights((truth if embedding is None else embedding).to(each)) * each).mean()

    def _weights(self, embedding: Tensor) -> Tensor:
        """`(N,)` weights with a mean of 1."""
        if embedding.dim() != 2 or embedding.shape[1] != self.size:
            raise ConfigError(
                f"{CARD.name} was made for embeddings of size {self.size}, got shape {tuple(embedding.shape)}; without "
                "embeddings, size is the number of classes or labels"
            )
        return torch.softmax(F.logsigmoid(embedding @ self.alpha.to(embedding)), dim=0) * embedding.shape[0]


ENTRY = LossEntry(card=CARD, loss=Moew)
