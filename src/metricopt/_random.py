"""Random state as a value: a `torch.Generator` made from named parts, never a global seed."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import nn


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose stream depends on all `parts` and on nothing else.

    Parts are hashed, so `generator(0, "search")` and `generator(0, "data")` are unrelated streams and
    adding a new consumer never shifts the numbers of an old one.

    >>> a, b = generator(0, "search"), generator(0, "search")
    >>> bool(torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b)))
    True
    """
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from named parts, for libraries that take an integer.

    >>> derive_seed(0, "cma") == derive_seed(0, "cma") != derive_seed(1, "cma")
    True
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@torch.no_grad()
def redraw(network: nn.Sequential, source: torch.Generator) -> None:
    """The usual initial values of `nn.Linear`, uniform in +-1/sqrt(inputs), from `source` for every such layer."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            for parameter in layer.parameters():
                parameter.uniform_(-bound, bound, generator=source)
