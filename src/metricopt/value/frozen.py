"""A value function made fast for search: no modules, no scales, no batch norm, only products and ReLUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from .._errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class FrozenLayer:
    """One linear layer of all members: weight `(members, out, in)`, bias `(members, out)`.

    `affine` is the gain and shift of a layer norm that follows, both `(members, out)`.
    """

    weight: Tensor
    bias: Tensor
    affine: tuple[Tensor, Tensor] | None


class FrozenValue:
    """`(n, d)` phis to `(n,)` estimates of utility, differentiable in phi; made by `ValueFunction.frozen`.

    >>> from metricopt.value.network import ValueFunction
    >>> value = ValueFunction(4, generator=torch.Generator().manual_seed(0)).eval()
    >>> frozen = value.frozen()
    >>> tuple(frozen(torch.zeros(6, 4)).shape), tuple(frozen.gradient(torch.zeros(6, 4)).shape)
    ((6,), (6, 4))
    """

    def __init__(self, layers: Sequence[FrozenLayer], head: FrozenLayer, *, eps: float) -> None:
        self.members, _, self.dim = layers[0].weight.shape
        self._eps = eps
        self._single = self.members == 1 and layers[0].affine is None
        self._affine = [layer.affine for layer in layers]
        # Each product is made with the transposed weight in memory order, which is the quicker one for few rows.
        self._weights = [layer.weight.transpose(1, 2).contiguous() for layer in layers]
        self._biases = [layer.bias[:, None, :].contiguous() for layer in layers]
        self._head_weight = head.weight.transpose(1, 2).contiguous()
        self._head_bias = head.bias[:, None, :].contiguous()
        # Views for the plain case of one member: matrices instead of stacks of one matrix.
        self._chain = list(zip([w[0] for w in self._weights], [b[0, 0] for b in self._biases], strict=True))
        self._last = (self._head_weight[0, :, 0].contiguous(), self._head_bias[0, 0])

    def __call__(self, phis: Tensor) -> Tensor:
        """`(..., d)` to `(...,)`."""
        flat = self._flat(phis)
        if self._single:
            for weight, bias in self._chain:
                flat = torch.addmm(bias, flat, weight).relu_()
            out = torch.addmv(self._last[1], flat, self._last[0])
        else:
            out = self._members(flat).mean(dim=0)
        return out.reshape(phis.shape[:-1])

    def members_estimates(self, phis: Tensor) -> Tensor:
        """`(..., d)` to `(members, ...)`."""
        return self._members(self._flat(phis)).reshape(self.members, *phis.shape[:-1])

    def spread(self, phis: Tensor) -> Tensor:
        """`(..., d)` to the standard deviation of the members' estimates `(...,)`."""
        return self.members_estimates(phis).std(dim=0, correction=0)

    def gradient(self, phis: Tensor) -> Tensor:
        """`(..., d)` to the exact gradient of the estimate at each phi, `(..., d)`."""
        flat = self._flat(phis)
        if self._affine[0] is not None:
            with torch.enable_grad():
                leaf = flat.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self(leaf).sum(), leaf)
            return slope.reshape(phis.shape)
        with torch.no_grad():
            return self._slope(flat).reshape(phis.shape)

    def _slope(self, x: Tensor) -> Tensor:
        # The network is piecewise linear: its slope is a product of weights and of the masks of active units.
        h = x.expand(self.members, *x.shape)
        active = []
        for weight, bias in zip(self._weights, self._biases, strict=True):
            h = torch.baddbmm(bias, h, weight).relu_()
            active.append(h > 0)
        slope = (self._head_weight.transpose(1, 2) / self.members).expand(-1, len(x), -1)
        for weight, on in zip(reversed(self._weights), reversed(active), strict=True):
            slope = torch.bmm(slope * on, weight.transpose(1, 2))
        return slope.sum(dim=0)

    def _members(self, flat: Tensor) -> Tensor:
        h = flat.expand(self.members, *flat.shape)
        for weight, bias, affine in zip(self._weights, self._biases, self._affine, strict=True):
            h = torch.baddbmm(bias, h, weight)
            if affine is not None:
                h = layer_norm(h, h.shape[-1:], eps=self._eps) * affine[0][:, None] + affine[1][:, None]
            h = h.relu()
        return torch.baddbmm(self._head_bias, h, self._head_weight)[..., 0]

    def _flat(self, phis: Tensor) -> Tensor:
        if phis.dim() == 0 or phis.shape[-1] != self.dim:
            raise ConfigError(f"phis must end in dimension {self.dim}, got shape {tuple(phis.shape)}")
        return phis if phis.dim() == 2 else phis.reshape(-1, self.dim)
