"""Folding: new weights that do what an adapter did to an output.

Everything is computed in float64 and rounded once. The module that is handed in stays as it is.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .._errors import NotFoldable
from .channels import LINEAR_MAPS, channel_shape


def scaled_and_shifted(module: nn.Module, gamma: Tensor, beta: Tensor) -> nn.Module:
    """A module whose output is `gamma * module(x) + beta` per channel.

    For a linear map `W' = gamma W, b' = gamma b + beta`; a norm's affine weight and bias alike.
    A bias or an affine weight that was missing comes into being, and with it a state-dict key.
    """
    weight, bias = weight_and_bias(module)
    gamma, beta = gamma.double(), beta.double()
    shape = channel_shape(module)
    if isinstance(module, LINEAR_MAPS):
        assert weight is not None
        new_weight = gamma.reshape(-1, *[1] * (weight.dim() - 1)) * weight.double()
    else:
        new_weight = gamma.expand(shape) * (1.0 if weight is None else weight.double())
    new_bias = beta.expand(shape) + gamma * (0.0 if bias is None else bias.double())
    return with_weights(module, weight=new_weight, bias=new_bias)


def offset_weights(module: nn.Module, weight: Tensor | None = None, bias: Tensor | None = None) -> nn.Module:
    """A module with `weight` and `bias` added to its own; a missing affine weight counts as 1, a bias as 0."""
    old_weight, old_bias = weight_and_bias(module)
    new_weight = new_bias = None
    if weight is not None:
        new_weight = weight.double() + (1.0 if old_weight is None else old_weight.double())
    if bias is not None:
        new_bias = bias.double() + (0.0 if old_bias is None else old_bias.double())
    return with_weights(module, weight=new_weight, bias=new_bias)


def weight_and_bias(module: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """The two parameters of a plain module.

    Raises:
        NotFoldable: the module is not plain, so that its output is not given by these two alone.
    """
    _check_plain(module)
    return module._parameters["weight"], module._parameters["bias"]


def with_weights(module: nn.Module, *, weight: Tensor | None, bias: Tensor | None) -> nn.Module:
    """A shallow copy with new parameters; None keeps the old one."""
    reference: Tensor | None = next((p for p in module._parameters.values() if p is not None), None)
    asks = reference is None or reference.requires_grad
    if reference is None:
        reference = next((b for b in module.buffers() if b.is_floating_point()), weight if weight is not None else bias)
    assert reference is not None
    new = copy.copy(module)
    new._parameters = dict(module._parameters)
    for name, value in (("weight", weight), ("bias", bias)):
        if value is None:
            continue
        old = module._parameters[name]
        data = value.detach().to(dtype=reference.dtype, device=reference.device).contiguous()
        if old is not None and old.dim() == 4 and old.is_contiguous(memory_format=torch.channels_last):
            data = data.contiguous(memory_format=torch.channels_last)
        new._parameters[name] = nn.Parameter(data, requires_grad=asks if old is None else old.requires_grad)
    if "affine" in vars(new):
        new.affine = True  # type: ignore[assignment]
    if "elementwise_affine" in vars(new):
        new.elementwise_affine = True  # type: ignore[assignment]
    return new


def _check_plain(module: nn.Module) -> None:
    name = type(module).__name__
    if not {"weight", "bias"} <= set(module._parameters):
        raise NotFoldable(
            f"{name} computes its weight or bias from other parameters (weight norm, a parametrization), so there is "
            "no plain weight to fold into. Remove the parametrization first."
        )
    home = next(base for base in type(module).__mro__ if "forward" in vars(base))
    if not home.__module__.startswith("torch.nn.modules."):
        raise NotFoldable(
            f"{name} has a forward of its own, and its output may not be the plain one of its base class. "
            "Adapt another site, or use the adapted model as it is."
        )
    if module._forward_hooks:
        raise NotFoldable(
            f"{name} carries {len(module._forward_hooks)} forward hook(s) that metricopt did not put there; "
            "they may change its output between the weights and the adapter. Remove them first."
        )


def replace_in_place(old: nn.Module, new: nn.Module) -> None:
    """Make `old` be `new`, so that every reference to it, registered or not, sees the new weights."""
    vars(old).update(vars(new))
