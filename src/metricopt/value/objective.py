"""What the value function is trained for: weighted regression plus ordinal embedding (paper Eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .mining import Hardness, Triplets, mine


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The terms of Eq. 2, each with the leading dimensions of the estimate, and the number of triplets used."""

    total: Tensor
    regression: Tensor
    ordinal: Tensor
    triplets: int


class LossSettings(Protocol):
    """The fields of a training configuration that concern the loss; see `value_loss` for their meaning."""

    @property
    def gamma(self) -> float: ...
    @property
    def ordinal(self) -> bool: ...
    @property
    def uncertainty(self) -> bool: ...
    @property
    def hardness(self) -> Hardness: ...
    @property
    def standard_units(self) -> bool: ...
    @property
    def std_floor(self) -> float: ...


def regression_loss(estimate: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """`L_regress = sum_t |f_t - M_t| / s_t / sum_t (1 / s_t)`: `(..., T)` to `(...,)`.

    `s` is the standard deviation of the interpolation; a constant one gives the plain mean absolute error.

    >>> regression_loss(torch.tensor([0.0, 1.0]), torch.zeros(2), torch.tensor([1.0, 0.5])).item()
    0.6666666865348816
    """
    weight = 1.0 / std
    return ((estimate - mean).abs() * weight).sum(dim=-1) / weight.sum(dim=-1)


def ordinal_loss(embedding: Tensor, triplets: Triplets) -> Tensor:
    """`L_oe = mean_t log(1 + exp(-(D(t, n_t) - D(t, p_t))))` over the valid anchors: `(..., T, e)` to `(...,)`.

    D is the Euclidean distance of embeddings. Without any valid anchor the loss and its gradient are zero.
    Differs from the paper: the mean is over the anchors that have a triplet, not over all T.
    """
    positive = _distance(embedding, triplets.positive)
    negative = _distance(embedding, triplets.negative)
    losses = torch.where(triplets.valid, softplus(positive - negative), 0.0)
    return losses.sum(dim=-1) / triplets.valid.sum(dim=-1).clamp(min=1)


def value_loss(
    estimate: Tensor,
    embedding: Tensor,
    mean: Tensor,
    std: Tensor,
    *,
    gamma: float = 10.0,
    ordinal: bool = True,
    uncertainty: bool = True,
    std_floor: float = 1e-3,
    unit: Tensor | float = 1.0,
    hardness: Hardness = "hardest",
    generator: torch.Generator | None = None,
) -> Objective:
    """`L_v = gamma L_regress + L_oe` (Eq. 2), one value per leading index.

    Args:
        estimate: `(..., T)`; embedding: `(..., T, e)`; mean, std: `(..., T)`, broadcast to the estimate.
        gamma: weight of the regression.
        ordinal: False leaves `L_oe` out.
        uncertainty: False replaces every std by their mean: equal weights, and Fisher ratios with one noise.
        std_floor: least std; the process is nearly certain at its observations and would weigh nothing else.
        unit: the utility that counts as an error of one. 1 is the paper's; the spread of the utilities makes gamma
            mean the same for a metric that moves by 0.01 as for one that moves by 0.3.
        hardness, generator: see `mine`.
    """
    std = std.clamp(min=std_floor)
    if not uncertainty:
        std = std.mean(dim=-1, keepdim=True).expand(std.shape)
    regression = regression_loss(estimate, mean, std) / unit
    if not ordinal:
        return Objective(total=gamma * regression, regression=regression, ordinal=0.0 * regression, triplets=0)
    triplets = mine(embedding, mean, std, hardness=hardness, generator=generator)
    order = ordinal_loss(embedding, triplets)
    return Objective(
        total=gamma * regression + order,
        regression=regression,
        ordinal=order,
        triplets=int(triplets.valid.sum()),
    )


def _distance(embedding: Tensor, index: Tensor) -> Tensor:
    # vector_norm has gradient zero at distance zero, where a plain square root has none.
    other = torch.gather(embedding, -2, index[..., None].expand(embedding.shape))
    distance: Tensor = torch.linalg.vector_norm(embedding - other, dim=-1)
    return distance
