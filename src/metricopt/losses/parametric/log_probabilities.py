"""Log-probabilities of the classes, for families that combine them with a K x K matrix, and the link on top."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..._errors import ConfigError
from ..._scores import flatten_binary, score_kind

#: What an example's sum goes through: nothing, or the sigmoid of the papers.
Link = Literal["identity", "sigmoid"]


def log_probabilities(scores: Tensor, targets: Tensor, classes: int, name: str) -> tuple[Tensor, Tensor]:
    """`(N, K)` log-probabilities and `(N,)` class indices; binary scores z become the two columns 0 and z.

    Args:
        scores: raw scores, `(N, K)`; `(N,)` or `(N, 1)` for K = 2.
        targets: class indices.
        classes: K.
        name: of the loss, for messages.

    Raises:
        ConfigError: shapes that fit no kind, or another number of classes.

    >>> log_probabilities(torch.zeros(1), torch.tensor([1]), 2, "some loss")
    (tensor([[-0.6931, -0.6931]]), tensor([1]))
    """
    kind = score_kind(scores, targets)
    if kind == "binary":
        flat, targets = flatten_binary(scores, targets)
        scores = torch.stack([torch.zeros_like(flat), flat], dim=-1)
    if kind == "multilabel" or scores.shape[1] != classes:
        raise ConfigError(
            f"{name} was made for one of {classes} classes; the scores are {kind}, of shape {tuple(scores.shape)}"
        )
    return torch.log_softmax(scores, dim=-1), targets.long()
