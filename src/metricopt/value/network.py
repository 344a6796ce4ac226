"""The value function: a small network from phi to an estimate of utility and an embedding (paper section 3.1)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Annotated, Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from .._checks import at_least, one_of, positive
from .._errors import CheckpointError, ConfigError
from .._phi import PhiSpec
from .._random import generator as named_generator
from .._typed import Least, Typed, from_plain, to_plain
from ..runtime import check_template, read_tensors, write_tensors
from .frozen import FrozenLayer, FrozenValue

Norm = Literal["batch", "layer", "none"]
_KIND, _VERSION = "value function", 1
_Dtype = Literal["float32", "float64"]
_Width = Annotated[int, Least(1)]
_EPS = 1e-5
_MOMENTUM = 0.1


class _StackedLayer(nn.Module):
    """Linear, norm and ReLU of all members: `(members, B, in)` to `(members, B, out)` by one batched product."""

    def __init__(self, members: int, inputs: int, outputs: int, norm: Norm, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = norm
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(_uniform((members, outputs, inputs), bound, generator))
        self.bias = nn.Parameter(_uniform((members, outputs), bound, generator))
        if norm != "none":
            self.gain = nn.Parameter(torch.ones(members, outputs))
            self.shift = nn.Parameter(torch.zeros(members, outputs))
        if norm == "batch":
            self.running_mean: Tensor
            self.running_var: Tensor
            self.register_buffer("running_mean", torch.zeros(members, outputs))
            self.register_buffer("running_var", torch.ones(members, outputs))

    def forward(self, x: Tensor, momentum: float) -> Tensor:
        x = torch.baddbmm(self.bias[:, None, :], x, self.weight.transpose(1, 2))
        if self.norm == "batch":
            mean, var = self._statistics(x, momentum)
            x = (x - mean[:, None]) * (self.gain * torch.rsqrt(var + _EPS))[:, None] + self.shift[:, None]
        elif self.norm == "layer":
            x = nn.functional.layer_norm(x, x.shape[-1:], eps=_EPS) * self.gain[:, None] + self.shift[:, None]
        return torch.relu(x)

    def _statistics(self, x: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
        # One point has no variance: then, as in eval mode, the running statistics serve.
        if not self.training or x.shape[1] < 2:
            return self.running_mean, self.running_var
        var, mean = torch.var_mean(x, dim=1, correction=0)
        with torch.no_grad():
            count = x.shape[1]
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(var.detach() * (count / (count - 1)), momentum)
        return mean, var

    def folded(self, scale: Tensor, offset: Tensor) -> FrozenLayer:
        """This layer after the affine map `(x - offset) / scale`, with batch norm in its eval form inside."""
        weight, bias = self.weight.detach().double(), self.bias.detach().double()
        weight = weight / scale.double()
        bias = bias - (weight * offset.double()).sum(dim=-1)
        if self.norm == "batch":
            factor = self.gain.detach().double() * torch.rsqrt(self.running_var.double() + _EPS)
            weight = weight * factor[:, :, None]
            bias = (bias - self.running_mean.double()) * factor + self.shift.detach().double()
        dtype = self.weight.dtype
        affine = (self.gain.detach().clone(), self.shift.detach().clone()) if self.norm == "layer" else None
        return FrozenLayer(weight=weight.to(dtype), bias=bias.to(dtype), affine=affine)


@dataclass(frozen=True, kw_only=True)
class _Settings(Typed):
    """What a file says beside the weights."""

    dim: _Width
    hidden: tuple[_Width, ...]
    norm: Norm
    members: _Width
    fingerprint: str
    dtype: _Dtype

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ConfigError("hidden must name at least one width, got none")


class ValueFunction(nn.Module):
    """MLP d-64-32-32-16-1 from phi to utility, with the scales of both kept inside.

    `members > 1` makes an ensemble of independent networks of that shape, evaluated together. Their mean is the
    estimate, their disagreement is `spread`, and the embedding is that of all members side by side.

    Args:
        dim: d, the length of phi.
        hidden: widths of the hidden layers; the last one is the embedding.
        norm: "batch" is the paper's; in eval mode it uses running statistics. "layer" and "none" need no statistics.
        members: number of networks.
        fingerprint: `PhiSpec.fingerprint` of the phi it is learned for.
        generator: draws the initial weights.

    Differs from the paper: phi and utility are standardised inside (`set_scale`), and the output has no norm or ReLU.

    >>> import torch
    >>> value = ValueFunction(16, generator=torch.Generator().manual_seed(0)).eval()
    >>> estimate, embedding = value(torch.zeros(5, 16))
    >>> tuple(estimate.shape), tuple(embedding.shape)
    ((5,), (5, 16))
    """

    phi_mean: Tensor
    phi_scale: Tensor
    utility_mean: Tensor
    utility_scale: Tensor

    def __init__(
        self,
        dim: int,
        *,
        hidden: Sequence[int] = (64, 32, 32, 16),
        norm: Norm = "batch",
        members: int = 1,
        fingerprint: str = "",
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dim = at_least("dim", dim, 1)
        self.hidden = tuple(at_least("hidden width", width, 1) for width in hidden)
        if not self.hidden:
            raise ConfigError("hidden must name at least one width, got none; the last one is the embedding")
        one_of("norm", norm, get_args(Norm))
        self.norm: Norm = norm
        self.members = at_least("members", members, 1)
        self.fingerprint = fingerprint
        widths = (self.dim, *self.hidden)
        self.layers = nn.ModuleList(_StackedLayer(members, a, b, norm, generator) for a, b in pairwise(widths))
        bound = 1 / math.sqrt(self.hidden[-1])
        self.head_weight = nn.Parameter(_uniform((members, 1, self.hidden[-1]), bound, generator))
        self.head_bias = nn.Parameter(_uniform((members, 1), bound, generator))
        self.register_buffer("phi_mean", torch.zeros(dim))
        self.register_buffer("phi_scale", torch.ones(dim))
        self.register_buffer("utility_mean", torch.tensor(0.5))
        self.register_buffer("utility_scale", torch.tensor(1.0))

    @torch.no_grad()
    def set_scale(self, phis: Tensor, utilities: Tensor, *, floor: float = 0.1) -> None:
        """Take mean and scale of phi and utility from data.

        Args:
            phis: `(..., d)`; utilities: any shape, NaN ignored.
            floor: least scale of a phi coordinate, as a fraction of the root mean square over all coordinates. A
                coordinate that never moved would otherwise dominate as soon as a search moves it.
        """
        points = phis.reshape(-1, self.dim).double()
        seen = utilities[~torch.isnan(utilities)].double()
        if len(points) == 0 or len(seen) == 0:
            raise ConfigError("set_scale needs at least one phi and one utility, got none")
        spread = points.std(dim=0, correction=0)
        typical = spread.square().mean().sqrt().item() or 1.0
        self.phi_mean.copy_(points.mean(dim=0))
        self.phi_scale.copy_(spread.clamp(min=positive("floor", floor) * typical))
        self.utility_mean.copy_(seen.mean())
        self.utility_scale.copy_(seen.std(correction=0).clamp(min=1e-3))

    def forward(self, phis: Tensor) -> tuple[Tensor, Tensor]:
        """`(..., d)` to the estimate of utility `(...,)` and the embedding `(..., members * hidden[-1])`."""
        estimates, embeddings = self.members_forward(phis)
        return estimates.mean(dim=0), torch.cat(embeddings.unbind(dim=0), dim=-1)

    def members_forward(self, phis: Tensor, *, momentum: float = _MOMENTUM) -> tuple[Tensor, Tensor]:
        """`(..., d)` to every member's estimate `(members, ...)` and embedding `(members, ..., hidden[-1])`.

        `momentum` is the share of this batch in the running statistics of batch norm, in training mode.
        """
        if phis.dim() == 0 or phis.shape[-1] != self.dim:
            raise ConfigError(f"phis must end in dimension {self.dim}, got shape {tuple(phis.shape)}")
        lead = phis.shape[:-1]
        x = ((phis - self.phi_mean) / self.phi_scale).reshape(1, -1, self.dim).expand(self.members, -1, -1)
        for layer in self.layers:
            x = layer(x, momentum)
        out = torch.baddbmm(self.head_bias[:, None, :], x, self.head_weight.transpose(1, 2))[..., 0]
        estimates = out * self.utility_scale + self.utility_mean
        return estimates.reshape(self.members, *lead), x.reshape(self.members, *lead, self.hidden[-1])

    def spread(self, phis: Tensor) -> Tensor:
        """`(..., d)` to the standard deviation of the members' estimates, `(...,)`; zero for one member."""
        return self.members_forward(phis)[0].std(dim=0, correction=0)

    @torch.no_grad()
    def calibrate(self, phis: Tensor) -> None:
        """Set the running statistics of batch norm to those of all these phis `(..., d)`; nothing for other norms."""
        if self.norm != "batch":
            return
        training = self.training
        self.train()
        self.members_forward(phis, momentum=1.0)
        self.train(training)

    def frozen(self) -> FrozenValue:
        """A fast copy for search: scales and batch norm (as in eval mode) folded into the linear layers."""
        layers, scale, offset = [], self.phi_scale, self.phi_mean
        for layer in self.layers:
            assert isinstance(layer, _StackedLayer)
            layers.append(layer.folded(scale, offset))
            scale, offset = torch.ones_like(layer.bias[0]), torch.zeros_like(layer.bias[0])
        unit = self.utility_scale.double()
        weight = self.head_weight.detach().double() * unit
        bias = self.head_bias.detach().double() * unit + self.utility_mean.double()
        dtype = self.head_weight.dtype
        head = FrozenLayer(weight=weight.to(dtype), bias=bias.to(dtype), affine=None)
        return FrozenValue(layers, head, eps=_EPS)

    def settings(self) -> dict[str, Any]:
        """What a file says beside the weights."""
        known = {each.name: getattr(self, each.name) for each in fields(_Settings) if each.name != "dtype"}
        dtype = cast(_Dtype, str(self.head_weight.dtype).removeprefix("torch."))
        return cast(dict[str, Any], to_plain(_Settings(**known, dtype=dtype)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, scales and settings to one safetensors file, atomically."""
        write_tensors(path, self.state_dict(), kind=_KIND, version=_VERSION, settings=self.settings())

    @staticmethod
    def load(path: str | os.PathLike[str], *, spec: PhiSpec | None = None) -> ValueFunction:
        """Read what `save` wrote, in eval mode.

        Raises:
            CheckpointError: not such a file, damaged, or its tensors do not fit its settings.
            FingerprintMismatch: it was learned for another phi than `spec`.
        """
        tensors, settings = read_tensors(path, kind=_KIND, version=_VERSION)
        value = _template(path, settings, numbers=sum(tensor.numel() for tensor in tensors.values()))
        if spec is not None:
            spec.check_fingerprint(value.fingerprint, f"the value function in {path}")
        check_template(path, tensors, value.state_dict())
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise CheckpointError(f"{path} holds numbers that are not finite. Save it again.")
        value.load_state_dict(tensors)
        return value.eval()


def _template(path: str | os.PathLike[str], settings: dict[str, Any], *, numbers: int) -> ValueFunction:
    """A value function of these settings, if it needs no more than the `numbers` that the file holds."""
    known = from_plain(_Settings, settings, f"value function in {path}")
    needed = known.members * sum(a * b for a, b in pairwise((known.dim, *known.hidden)))
    if needed > numbers:
        raise CheckpointError(
            f"{path} does not fit: its settings should have more numbers than it holds. Save it again."
        )
    dtype = getattr(torch, known.dtype)
    given = {each.name: getattr(known, each.name) for each in fields(_Settings) if each.name != "dtype"}
    return ValueFunction(**given, generator=named_generator(0, "template")).to(dtype)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound
