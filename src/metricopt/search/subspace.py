"""The subspace of past loss gradients and the search covariance over it (paper Eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .._errors import ConfigError

#: A gradient counts as new if this share of its length lies outside the span of the others.
_INDEPENDENT = 1e-5


class Subspace(NamedTuple):
    """The span of past gradients of n runs.

    `basis` is U, `(n, d, r)`: orthonormal columns, and columns of zeros in runs of lower rank. `ranks` are the n
    ranks; None where all of them are r.
    """

    basis: Tensor
    ranks: Sequence[int] | None


def span(past: Tensor) -> Subspace:
    """The span of the past gradients `(n, k, d)` of each run.

    Gradients that are zero or parallel leave a rank below k. The columns that a factorisation fills up with would
    be searched as if the loss had pointed there, so they are zero here.
    """
    k, d = past.shape[1:]
    if k == 0:
        return Subspace(past.mT, None)
    if k <= d:
        basis, triangles = torch.linalg.qr(past.mT)
        # Plain numbers: for matrices of 3 x 3 a few Python operations cost less than one operation on tensors.
        if all(map(_is_independent, triangles.tolist())):
            return Subspace(basis, None)
    return _deficient(past)


def _is_independent(triangle: list[list[float]]) -> bool:
    """Whether no column of R, `(k, k)`, lies in the span of those before it."""
    for j, row in enumerate(triangle):
        new = row[j] * row[j]
        if not new > _INDEPENDENT**2 * sum([above[j] * above[j] for above in triangle[: j + 1]]):
            return False
    return True


def _deficient(past: Tensor) -> Subspace:
    """`span` by singular values, which tell the rank where QR without pivoting cannot."""
    if not bool(past.isfinite().all()):
        raise ConfigError("a loss gradient is not finite; take smaller steps, or look at what the loss returns")
    longest = past.abs().amax(dim=-1, keepdim=True)
    units = torch.nn.functional.normalize(past / longest.clamp_min(torch.finfo(past.dtype).tiny), dim=-1)
    _, values, rows = torch.linalg.svd(units, full_matrices=False)
    independent = values > _INDEPENDENT
    basis: Tensor = (rows * independent[..., None]).mT
    return Subspace(basis, independent.sum(dim=1).tolist())


def perturbations(space: Subspace, count: int, variance: float, *, generator: torch.Generator) -> Tensor:
    """Samples of N(0, s^2 Sigma), Sigma = I/(2d) + U U^T/(2k) (Eq. 3), `(n, count, d)`.

    k is the rank: gradients that add no direction do not count. With an empty subspace (no gradient seen yet) the
    whole mass is isotropic, Sigma = I/d, so that the expected squared length is s^2 at every step.
    """
    basis, ranks = space
    n, d, k = basis.shape
    dtype, device = basis.dtype, basis.device
    everywhere = torch.randn(n, count, d, generator=generator, dtype=dtype, device=device)
    if k == 0:
        return everywhere.mul_((variance / d) ** 0.5)
    inside = torch.randn(n, count, k, generator=generator, dtype=dtype, device=device)
    if ranks is None:
        iso, sub = (variance / (2 * d)) ** 0.5, (variance / (2 * k)) ** 0.5
        return torch.baddbmm(everywhere, inside, basis.mT, beta=iso, alpha=sub)
    squares = [(1 / (2 * d), 1 / (2 * rank)) if rank else (1 / d, 0.0) for rank in ranks]
    scales = basis.new_tensor(squares).mul_(variance).sqrt_()
    return scales[:, :1, None] * everywhere + scales[:, 1:, None] * (inside @ basis.mT)


def perturbations_of_one(past: Tensor, count: int, variance: float, *, generator: torch.Generator) -> Tensor:
    """`perturbations` over the span of the past gradients of one run, `(k, d)` to `(count, d)`: the same numbers."""
    k, d = past.shape
    if 0 < k <= d:
        basis, triangle = torch.linalg.qr(past.T)
        if _is_independent(triangle.tolist()):
            everywhere = torch.randn(count, d, generator=generator, dtype=past.dtype, device=past.device)
            inside = torch.randn(count, k, generator=generator, dtype=past.dtype, device=past.device)
            iso, sub = (variance / (2 * d)) ** 0.5, (variance / (2 * k)) ** 0.5
            return torch.addmm(everywhere, inside, basis.T, beta=iso, alpha=sub)
    return perturbations(span(past.unsqueeze(0)), count, variance, generator=generator)[0]


def covariance(space: Subspace) -> Tensor:
    """Sigma of Eq. 3 as a matrix `(n, d, d)`; for tests and plots, the search never builds it."""
    basis = space.basis
    n, d, k = basis.shape
    ranks = basis.new_tensor([k] * n if space.ranks is None else space.ranks)[:, None, None]
    eye = torch.eye(d, dtype=basis.dtype, device=basis.device).expand(n, d, d)
    mixed = eye / (2 * d) + basis @ basis.mT / (2 * ranks.clamp_min(1))
    return torch.where(ranks > 0, mixed, eye / d)
