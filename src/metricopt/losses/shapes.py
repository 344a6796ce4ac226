"""Scores and targets in the few shapes that losses compute on; each refuses what fits no kind."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .._errors import ConfigError
from .._scores import flatten_binary, score_kind
from .._types import ScoreKind


def as_columns(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, ScoreKind]:
    """One binary problem per column: `(N, C)` scores, `(N, C)` truth in {0, 1} of the same dtype, and the kind.

    Binary has one column, multilabel one per label; multiclass one per class against the rest (see
    `one_against_rest`), so that the sigmoid of a column is the softmax probability of its class.
    """
    kind = score_kind(scores, targets)
    if kind == "binary":
        flat, truth = flatten_binary(scores, targets)
        return flat[:, None], truth[:, None].to(scores.dtype), kind
    if kind == "multilabel":
        return scores, targets.to(scores.dtype), kind
    truth = F.one_hot(targets.long(), scores.shape[1]).to(scores.dtype)
    return one_against_rest(scores), truth, kind


def from_largest(scores: Tensor) -> Tensor:
    """Scores less the largest of their row, for what depends on differences only: large numbers lose their digits.

    The largest is a constant here. Slopes of what depends on differences only add up to zero, so none is missed.

    >>> from_largest(torch.tensor([[3.0, 1.0]]))
    tensor([[ 0., -2.]])
    """
    return scores - scores.detach().amax(dim=-1, keepdim=True)


def one_against_rest(scores: Tensor) -> Tensor:
    """`z_c - log sum_{j != c} exp z_j`, the log-odds of each class: `sigmoid` of it is `softmax(scores)`.

    Args:
        scores: `(N, C)`, C >= 2.

    >>> one_against_rest(torch.tensor([[3.0, 1.0]]))
    tensor([[ 2., -2.]])
    """
    # The sum over the others is 1 - p_c of the whole. That cancels for the largest class alone, whose others
    # are summed apart.
    scores = from_largest(scores)
    top = scores.argmax(dim=-1, keepdim=True)
    is_top = torch.zeros_like(scores).scatter(-1, top, 1.0) > 0
    everything = torch.logsumexp(scores, dim=-1, keepdim=True)
    others = torch.logsumexp(scores.masked_fill(is_top, -torch.inf), dim=-1, keepdim=True)
    share = torch.where(is_top, 0.0, (scores - everything).exp())
    return scores - torch.where(is_top, others, everything + torch.log1p(-share))


def as_lists(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(rows, n)` scores and relevance >= 0 of the same dtype; one list `(n,)` becomes one row."""
    if scores.shape != targets.shape or scores.dim() not in (1, 2) or scores.numel() == 0:
        raise ConfigError(
            f"scores of shape {tuple(scores.shape)} do not go with targets of shape {tuple(targets.shape)}; "
            "give (n,) scores with (n,) relevances for one list, (rows, n) with (rows, n) for several"
        )
    truth = targets.to(scores.dtype)
    return (scores[None], truth[None]) if scores.dim() == 1 else (scores, truth)


def as_embeddings(embeddings: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """`(N, D)` embeddings and `(N,)` integer labels."""
    labels = targets.reshape(-1)
    if embeddings.dim() != 2 or embeddings.shape[0] != labels.shape[0] or targets.dim() > 2 or labels.numel() == 0:
        raise ConfigError(
            f"embeddings of shape {tuple(embeddings.shape)} do not go with targets of shape {tuple(targets.shape)}; "
            "give (N, D) embeddings with (N,) labels"
        )
    return embeddings, labels.long()
