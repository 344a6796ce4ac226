"""How many examples each class has: given by the user, or counted in the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..._errors import ConfigError
from ..._scores import score_kind

Counts = Sequence[float] | Tensor


def counts_of(scores: Tensor, targets: Tensor, counts: Counts | None, name: str) -> Tensor:
    """`(K,)` counts, `(2,)` for binary with the negatives first.

    Args:
        scores: raw scores, `(N,)`, `(N, 1)` or `(N, K)`.
        targets: binary or class indices.
        counts: of the training set; None counts the batch.
        name: of the loss, for messages.

    >>> counts_of(torch.zeros(3), torch.tensor([1, 0, 1]), None, "some loss")
    tensor([1., 2.])
    """
    kind = score_kind(scores, targets)
    if kind == "multilabel":
        raise ConfigError(f"{name} is for binary and multiclass targets; these are multilabel, {tuple(scores.shape)}")
    classes = 2 if kind == "binary" else scores.shape[1]
    if counts is None:
        return F.one_hot(targets.reshape(-1).long(), classes).sum(dim=0).to(scores.dtype)
    given = torch.as_tensor(counts, dtype=scores.dtype, device=scores.device)
    if given.shape != (classes,):
        raise ConfigError(f"class_counts of {name} must have shape ({classes},), got {tuple(given.shape)}")
    return given
