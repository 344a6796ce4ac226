"""Where in phi the parameters of each adapter at each site lie."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .._errors import AdapterError
from .._phi import PhiSpec, Slot
from .._random import generator
from .adapter import Adapter
from .projection import Projected, orthonormal
from .site import Site


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One adapter at one site: its parameters are `start` and on of block `block`."""

    adapter: Adapter
    site: Site
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, str]
    block: int
    start: int

    @property
    def prefix(self) -> str:
        """`<site>.<kind>`, or `<kind>` at the root."""
        kind = self.adapter.kind()
        return f"{self.site.name}.{kind}" if self.site.name else kind

    @property
    def numel(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())


@dataclass(frozen=True, kw_only=True)
class Block:
    """A stretch of phi that is used as it is, or through the projection of that buffer name."""

    start: int
    stop: int
    projection: str | None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All bindings, the blocks of phi they read, and the spec that names them."""

    bindings: tuple[Binding, ...]
    blocks: tuple[Block, ...]
    spec: PhiSpec

    def params(self, binding: Binding, phi: Tensor, buffers: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """The parameters of one binding as views of (or projections from) `phi` of shape `(d,)`."""
        block = self.blocks[binding.block]
        stop = binding.start + binding.numel
        if block.projection is None:
            flat = phi[block.start + binding.start : block.start + stop]
        else:
            matrix = buffers[block.projection]
            assert matrix is not None
            flat = F.linear(phi[block.start : block.stop], matrix[binding.start : stop])
        if len(binding.shapes) == 1:
            return {name: flat.reshape(shape) for name, shape in binding.shapes.items()}
        parts = torch.split(flat, [math.prod(shape) for shape in binding.shapes.values()])
        return {name: p.reshape(s) for p, (name, s) in zip(parts, binding.shapes.items(), strict=True)}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One adapter and the sites it takes."""

    adapter: Adapter | Projected
    sites: Sequence[Site]

    @property
    def plain(self) -> Adapter:
        return self.adapter.adapter if isinstance(self.adapter, Projected) else self.adapter


def make_layout(chosen: Sequence[Chosen], *, dim: int | None, seed: int) -> tuple[Layout, dict[str, Tensor]]:
    """The layout of phi and its frozen tensors by buffer name.

    Raises:
        AdapterError: two adapters of one kind at one site.
        ConfigError: a projection to more numbers than there are.
    """
    constants: dict[str, Tensor] = {}
    bindings: list[Binding] = []
    blocks: list[Block] = []
    slots: list[Slot] = []
    groups = [list(chosen)] if dim is not None else [[one] for one in chosen]
    for group in groups:
        inside = _bind(group, len(blocks), constants, seed, len(bindings))
        full = sum(binding.numel for binding in inside)
        width = dim if dim is not None else _own_dim(group[0])
        projection = None
        if width is not None:
            name = "phi" if dim is not None else group[0].plain.kind()
            projection = f"projection_{len(blocks)}"
            stream = generator(seed, "adapters", "projection", name)
            constants[projection] = orthonormal(full, width, generator=stream)
            slots.append(Slot(name=f"{name}.projected", shape=(width,)))
        else:
            slots += [
                Slot(name=f"{b.prefix}.{n}", shape=s, role=b.adapter.roles.get(n, "other"))
                for b in inside
                for n, s in b.shapes.items()
            ]
        start = blocks[-1].stop if blocks else 0
        blocks.append(Block(start=start, stop=start + (full if width is None else width), projection=projection))
        bindings += inside
    _check_unique(bindings)
    origin = _origin(chosen, bindings, dim, seed if constants else None)
    spec = PhiSpec(slots=tuple(slots), origin=origin)
    return Layout(bindings=tuple(bindings), blocks=tuple(blocks), spec=spec), constants


def _bind(group: Sequence[Chosen], block: int, constants: dict[str, Tensor], seed: int, first: int) -> list[Binding]:
    bindings: list[Binding] = []
    start = 0
    for one in group:
        for site in one.sites:
            index = first + len(bindings)
            # The stream depends on the place, so another adapter beside it does not change the numbers.
            stream = generator(seed, "adapters", one.plain.kind(), site.name)
            tensors = one.plain.constants(site, stream)
            binding = Binding(
                adapter=one.plain,
                site=site,
                shapes=one.plain.shapes(site),
                constants={name: f"constant_{index}_{name}" for name in tensors},
                block=block,
                start=start,
            )
            constants.update({binding.constants[name]: tensor for name, tensor in tensors.items()})
            bindings.append(binding)
            start += binding.numel
    return bindings


def _own_dim(one: Chosen) -> int | None:
    return one.adapter.dim if isinstance(one.adapter, Projected) else None


def _check_unique(bindings: Sequence[Binding]) -> None:
    seen: set[str] = set()
    for binding in bindings:
        if binding.prefix in seen:
            raise AdapterError(
                f"two adapters of kind {binding.adapter.kind()!r} at the site {binding.site.label}; "
                "give each its own sites, or only one of them"
            )
        seen.add(binding.prefix)


def _origin(chosen: Sequence[Chosen], bindings: Sequence[Binding], dim: int | None, seed: int | None) -> str:
    """What makes the meaning of phi: not the weights, and the seed only where something random is used."""
    places = [
        [b.prefix, type(b.site.module).__name__, {name: list(shape) for name, shape in b.shapes.items()}]
        for b in bindings
    ]
    settings = [repr(one.adapter) for one in chosen]
    return json.dumps({"adapters": settings, "sites": places, "dim": dim, "seed": seed}, sort_keys=True)
