"""Any number of phi: a fixed matrix with orthonormal columns in front of the full parameter vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .._checks import at_least
from .._errors import ConfigError
from .adapter import Adapter


@final
@dataclass(frozen=True, kw_only=True)
class Projected:
    """One adapter behind a projection of its own, beside others that are not projected.

    `attach(model, [Projected(adapter=Film(), dim=14), OutputShift()], ...)` keeps the output shift
    readable; `attach(..., dim=16)` projects everything together.
    """

    adapter: Adapter
    dim: int

    def __post_init__(self) -> None:
        at_least("Projected.dim", self.dim, 1)


def orthonormal(full: int, dim: int, *, generator: torch.Generator) -> Tensor:
    """A random `(full, dim)` matrix P with `P^T P = I`, uniform over all such, float32.

    So a step in phi is a step of the same length in the full vector (the second reading of the
    paper's d: a small context with a linear generator).

    Raises:
        ConfigError: `dim` is larger than `full`.

    >>> P = orthonormal(40, 3, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(P.T @ P, torch.eye(3), atol=1e-6))
    True
    """
    if at_least("dim", dim, 1) > full:
        raise ConfigError(
            f"dim={dim} is more than the {full} numbers that the adapters have; give a smaller dim, or none"
        )
    q, r = torch.linalg.qr(torch.randn(full, dim, dtype=torch.float64, generator=generator))
    # The sign of R's diagonal depends on the LAPACK at hand. Fixing it makes P the same everywhere.
    fixed: Tensor = q * torch.sign(torch.diagonal(r))
    return fixed.float()
