"""How far each coordinate of phi is explored: the one piece of scale in the project."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import positive
from .._phi import PhiSpec


def default_phi_scale(spec: PhiSpec, sensitivity: Tensor, *, shift: float = 1.0, other: float = 0.3) -> Tensor:
    """`(d,)`: phi = phi_scale * z with z of order one changes the scores by a known amount, whatever the units.

    Coordinates of an additive output shift get `shift` score units each. All other coordinates together move
    the scores by `other` (root mean square): they bend the decision of single examples, which a finite search
    split rewards by chance, so they get the smaller share.

    Args:
        spec: of phi; the shifts are its slots of that role.
        sensitivity: `(d,)`, see `Workload.sensitivity`.
    """
    positive("shift", shift)
    positive("other", other)
    moves = sensitivity.clamp_min(0).sqrt()
    typical = float(moves.square().mean().sqrt()) or 1.0
    is_shift = torch.zeros(spec.dim, dtype=torch.bool)
    for slot in spec.slots:
        if slot.role == "shift":
            is_shift[spec.slice_of(slot.name)] = True
    others = float(moves[~is_shift].square().sum().sqrt()) or typical
    # A coordinate that hardly moves the scores is not blown up beyond what the others get.
    return torch.where(is_shift, shift / moves.clamp_min(0.1 * typical), torch.full_like(moves, other / others))
