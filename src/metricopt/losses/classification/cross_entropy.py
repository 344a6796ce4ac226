"""Cross-entropy for binary, multiclass and multilabel scores, told apart by shape."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from ..._errors import ConfigError
from ..._scores import flatten_binary, score_kind
from ..card import Card, LossEntry
from ..full_precision import full_precision

CARD = Card(
    name="cross_entropy",
    title="Cross-entropy, the negative log-likelihood of the targets",
    targets=("binary", "multiclass", "multilabel"),
    aims_at=("accuracy", "mcr", "log_loss"),
    cost="O(n)",
    monotone=True,
    bounds=(0.0, math.inf),
    wraps="torch",
    paper="textbook; the model loss L of the MetricOpt paper, Eq. 1",
)


@full_precision
def cross_entropy(scores: Tensor, targets: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    """Mean over examples of `-w log p(target)`.

    Binary: `-mean(w1 t log s(z) + w0 (1 - t) log(1 - s(z)))` with s the sigmoid. Multiclass:
    `-mean(w_t log softmax(z)_t)`. Multilabel: the binary form, mean over examples and labels, each label
    with its weight.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, C)`.
        targets: `(N,)` or `(N, 1)` in {0, 1}; `(N,)` class indices; or `(N, C)` in {0, 1}.
        class_weights: `(2,)` for binary, `(C,)` for multiclass and multilabel. The sum is divided by the number
            of examples, not by the sum of weights as `torch.nn.CrossEntropyLoss` does, so that an example
            weighs the same in every batch.

    Returns:
        A scalar with the dtype of `scores`, float32 for half precision.

    Raises:
        ConfigError: shapes that fit no kind, or weights of the wrong length.

    >>> import torch
    >>> round(float(cross_entropy(torch.zeros(4), torch.tensor([0, 1, 1, 0]))), 4)
    0.6931
    """
    kind = score_kind(scores, targets)
    if class_weights is not None:
        _check_weights(class_weights, 2 if kind == "binary" else scores.shape[1])
        class_weights = class_weights.to(scores)
    if kind == "multiclass":
        if class_weights is None:
            return F.cross_entropy(scores, targets.long())
        return F.cross_entropy(scores, targets.long(), weight=class_weights, reduction="sum") / targets.shape[0]
    if kind == "binary":
        scores, targets = flatten_binary(scores, targets)
    truth = targets.to(scores.dtype)
    weight = class_weights
    if weight is not None and kind == "binary":
        weight = weight[0] + (weight[1] - weight[0]) * truth
    return F.binary_cross_entropy_with_logits(scores, truth, weight=weight)


def _check_weights(weights: Tensor, classes: int) -> None:
    if weights.shape != (classes,):
        raise ConfigError(f"class_weights must have shape ({classes},), got {tuple(weights.shape)}")


ENTRY = LossEntry(card=CARD, loss=cross_entropy)
