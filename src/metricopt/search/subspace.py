"""The subspace of past loss gradients and the search covariance over it (paper Eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor


def orthonormal_basis(past: Tensor) -> Tensor:
    """An orthonormal basis U of the span of past gradients: `(n, k, d)` to `(n, d, min(k, d))`.

    Gradients that are zero or parallel leave a rank below k. QR then fills up with arbitrary directions,
    which would be searched as if the loss had pointed there; those columns are set to zero instead.
    """
    n, k, d = past.shape
    if k == 0:
        return past.new_zeros(n, d, 0)
    scale = past.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(past.dtype).tiny)
    q, r = torch.linalg.qr((past / scale).transpose(1, 2))
    independent = torch.diagonal(r, dim1=-2, dim2=-1).abs() > 1e-6
    basis: Tensor = q * independent[:, None, :]
    return basis


def perturbations(basis: Tensor, count: int, variance: float, *, generator: torch.Generator) -> Tensor:
    """Samples of N(0, s^2 Sigma), Sigma = I/(2d) + U U^T/(2k) (Eq. 3): `(n, d, k)` to `(n, count, d)`.

    With an empty subspace (no gradient seen yet) the whole mass is isotropic, Sigma = I/d, so that the
    expected squared length is s^2 at every step.
    """
    n, d, _ = basis.shape
    rank = (basis.square().sum(dim=1) > 0.5).sum(dim=-1)  # columns that span something
    inside = torch.randn(n, count, basis.shape[2], generator=generator, dtype=basis.dtype)
    everywhere = torch.randn(n, count, d, generator=generator, dtype=basis.dtype)
    has = rank > 0
    iso = torch.where(has, variance / (2 * d), variance / d).sqrt()
    sub = torch.where(has, variance / (2 * rank.clamp_min(1)), torch.zeros_like(iso)).sqrt()
    return iso[:, None, None] * everywhere + sub[:, None, None] * (inside @ basis.transpose(1, 2))


def covariance(basis: Tensor) -> Tensor:
    """Sigma of Eq. 3 as a matrix `(n, d, d)`; for tests and plots, the search never builds it."""
    n, d, _ = basis.shape
    rank = (basis.square().sum(dim=1) > 0.5).sum(dim=-1)
    eye = torch.eye(d, dtype=basis.dtype).expand(n, d, d)
    spanned = basis @ basis.transpose(1, 2)
    mixed = eye / (2 * d) + spanned / (2 * rank.clamp_min(1))[:, None, None]
    return torch.where((rank > 0)[:, None, None], mixed, eye / d)
