"""Guided evolution strategies on the value function (paper section 3.2, Eq. 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from .._checks import at_least, positive
from .._errors import ConfigError
from .source import GradientSource, SearchState
from .subspace import perturbations, perturbations_of_one, span
from .value_source import Value


@final
@dataclass(frozen=True, kw_only=True)
class GuidedES(GradientSource):
    """Random search on the value function around the subspace of the last k loss gradients.

    u = beta / (2 s^2 P) sum_i delta_i [f(phi + delta_i) - f(phi - delta_i)], delta_i ~ N(0, s^2 Sigma),
    Sigma = I/(2d) + U U^T/(2k). f is the cost 1 - utility, so u is a gradient to descend.

    Args:
        value: phis `(m, d)` to estimated utilities `(m,)`, for example `ValueFunction.frozen()`.
        k: how many past loss gradients span U (paper: 3).
        pairs: P, antithetic pairs per step (paper: 3).
        variance: s^2 (paper: 0.01); with trace(Sigma) = 1 a perturbation has length s whatever d.
        uses_loss: False forgets the loss: Sigma = I/d, plain evolution strategies on f.
        beta: 2 gives Eq. 4 with its 1 / (s^2 P); the original guided ES uses 1.
    """

    value: Value
    k: int = 3
    pairs: int = 3
    variance: float = 0.01
    beta: float = 2.0
    uses_loss: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.value, torch.nn.Module):
            raise ConfigError(
                f"value must map phis (m, d) to utilities (m,), got a {type(self.value).__name__}; give value.frozen()"
            )
        at_least("k", self.k, 1)
        at_least("pairs", self.pairs, 1)
        positive("variance", self.variance)
        positive("beta", self.beta)

    def direction(
        self, state: SearchState, phis: Tensor, loss_grads: Tensor, *, generator: torch.Generator
    ) -> tuple[Tensor, SearchState]:
        with torch.no_grad():
            if self.uses_loss:
                state = state.remember(loss_grads, self.k)
            pairs, variance, past = self.pairs, self.variance, state.past
            weight = self.beta / (2 * variance * pairs)
            if len(past) == 1:
                return _one_run(self.value, past[0], phis, pairs, variance, weight, generator), state
            deltas = perturbations(span(past), pairs, variance, generator=generator)
            here = phis.unsqueeze(1)
            points = torch.cat([deltas, -deltas], dim=1).add_(here)
            utilities = self.value(points.flatten(0, 1)).to(phis.dtype)
            plus, minus = utilities.reshape(-1, 1, 2, pairs).unbind(dim=2)
            # Cost is 1 - utility: f(+) - f(-) is the utility at minus less the utility at plus.
            u = torch.baddbmm(here, minus - plus, deltas, beta=0, alpha=weight)  # beta=0: the product alone
            return u.squeeze(1), state


def _one_run(
    value: Value, past: Tensor, phi: Tensor, pairs: int, variance: float, weight: float, generator: torch.Generator
) -> Tensor:
    """The same with matrices for one run `(1, d)`: a plug-in step is short, and stacks of one matrix are slower."""
    deltas = perturbations_of_one(past, pairs, variance, generator=generator)
    if pairs > _FEW:
        plus, minus = value(torch.cat([deltas, -deltas]).add_(phi)).to(phi.dtype).split(pairs)
        return torch.addmm(phi, (minus - plus).unsqueeze(0), deltas, beta=0, alpha=weight)
    signs = _signs(pairs, phi.dtype, phi.device)
    utilities = value(torch.addmm(phi, signs, deltas)).to(phi.dtype)
    return torch.addmm(phi, torch.mv(signs.mT, utilities).unsqueeze(0), deltas, beta=0, alpha=-weight)


#: Up to so many pairs a call of PyTorch costs more than a product with a matrix of signs.
_FEW = 32


@lru_cache(maxsize=16)
def _signs(pairs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`(2 pairs, pairs)`: ones above, minus ones below; a product with it is one call in the place of three."""
    one = torch.eye(pairs, dtype=dtype, device=device)
    return torch.cat([one, -one])
