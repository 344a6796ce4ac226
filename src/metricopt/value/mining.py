"""Which triplets train the embedding: Fisher-ratio sets and hard mining (paper section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._checks import one_of
from .._errors import ConfigError

Hardness = Literal["hardest", "sampled"]

#: Two utilities differ when their Fisher ratio reaches this (paper section 3.1).
FISHER_THRESHOLD = 2.0


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """For every anchor the index of its positive and negative; `valid` is False where a set was empty."""

    positive: Tensor
    negative: Tensor
    valid: Tensor


def fisher_ratio(mean: Tensor, std: Tensor) -> Tensor:
    """`r_ij = (M_i - M_j)^2 / (s_i^2 + s_j^2)`: `(..., T)` twice to `(..., T, T)`."""
    difference = mean[..., :, None] - mean[..., None, :]
    variance = std.square()
    return difference.square() / (variance[..., :, None] + variance[..., None, :])


@torch.no_grad()
def mine(
    embedding: Tensor,
    mean: Tensor,
    std: Tensor,
    *,
    hardness: Hardness = "hardest",
    generator: torch.Generator | None = None,
) -> Triplets:
    """One triplet per anchor from its positives (r < 2, not itself) and negatives (r >= 2).

    "hardest" takes the farthest positive and the nearest negative. "sampled" draws among the pairs that are hard in
    the sense of Multi-Similarity mining: positives farther than the nearest negative and negatives nearer than the
    farthest positive; where there is none it falls back to the hardest. Anchors with an empty set are not valid.

    Args:
        embedding: `(..., T, e)`, leading dimensions are members or runs.
        mean, std: `(..., T)`, broadcast against the leading dimensions.
        hardness: see above.
        generator: draws among the hard ones; "sampled" needs it.

    Returns:
        Indices into T and a mask, all `(..., T)`.

    Raises:
        ConfigError: "sampled" without a generator.
    """
    one_of("hardness", hardness, ("hardest", "sampled"))
    if hardness == "sampled" and generator is None:
        raise ConfigError('hardness "sampled" needs a generator, got None; pass one by keyword')
    distance = torch.cdist(embedding, embedding)
    similar = fisher_ratio(mean, std) < FISHER_THRESHOLD
    itself = torch.eye(mean.shape[-1], dtype=torch.bool, device=mean.device)
    positives = (similar & ~itself).expand(distance.shape)
    negatives = (~similar).expand(distance.shape)
    far, positive = distance.masked_fill(~positives, -torch.inf).max(dim=-1)
    near, negative = distance.masked_fill(~negatives, torch.inf).min(dim=-1)
    valid = positives.any(dim=-1) & negatives.any(dim=-1)
    if hardness == "sampled":
        positive = _drawn(positives & (distance > near[..., None]), positive, generator)
        negative = _drawn(negatives & (distance < far[..., None]), negative, generator)
    return Triplets(positive=positive, negative=negative, valid=valid)


def _drawn(choices: Tensor, fallback: Tensor, generator: torch.Generator | None) -> Tensor:
    """One index of each row's choices, uniformly; the fallback where there is none."""
    lots = torch.rand(choices.shape, generator=generator, device=choices.device)
    drawn = lots.masked_fill(~choices, -1.0).argmax(dim=-1)
    return torch.where(choices.any(dim=-1), drawn, fallback)
