"""How far each coordinate of phi is explored, and how phi moves the outputs: the one piece of scale in the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .._checks import positive
from .._phi import PhiSpec
from .._random import generator as named_generator
from ..adapters import AdaptedModel
from . import nests

#: Training rows `(m,)` to their features in front of phi and their targets.
Features: TypeAlias = Callable[[Tensor], tuple[Any, Any]]

#: Of more outputs than this the diagonal is estimated in as many random directions.
_MOST_DIRECTIONS = 64
#: Up to this many numbers of phi a product d x d costs nothing.
_SHORT = 64


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


def exact_sensitivity(adapted: AdaptedModel, features_of: Features, chosen: Tensor) -> Tensor:
    """Row by row, each with a phi of its own; in blocks, so that d may be large."""
    dim = adapted.spec.dim
    total = torch.zeros(dim)
    for block in chosen.split(max(1, min(len(chosen), (1 << 24) // dim))):
        features, _ = features_of(block)
        point = torch.zeros(len(block), dim, requires_grad=True)
        each = nests.mapped(lambda t: t[:, None], features)
        outputs = adapted.outputs_each(point.to(adapted.phi), each).reshape(len(block), -1)
        directions, weight = torch.eye(outputs.shape[1]), 1.0
        if len(directions) > _MOST_DIRECTIONS:  # random signs v: the mean of (J^T v)^2 is the diagonal of J^T J
            signs = torch.randint(2, (_MOST_DIRECTIONS, outputs.shape[1]), generator=named_generator(0, "signs"))
            directions, weight = 2.0 * signs - 1, 1 / _MOST_DIRECTIONS
        for direction in directions.to(outputs):
            (rows,) = torch.autograd.grad((outputs @ direction).sum(), point, retain_graph=True)
            # A short phi by a matrix product, whose order of sums the committed tables were made with.
            squares = torch.diagonal(rows.T @ rows) if dim <= _SHORT else rows.square().sum(dim=0)
            total += weight * squares / len(chosen)
    return total


def estimated_sensitivity(adapted: AdaptedModel, features_of: Features, blocks: Sequence[Tensor]) -> Tensor:
    """All rows at one phi, with a random sign for each output of each row: what is mixed cancels on average.

    Of records it is the mean over their confidences, or over all of their numbers; 1 where phi moves none smoothly.
    """
    generator, spec = named_generator(0, "signs"), adapted.spec
    total, count, numbers = torch.zeros(spec.dim), sum(len(block) for block in blocks), 0
    for block in blocks:
        features, _ = features_of(block)
        point = torch.zeros(spec.dim, requires_grad=True)
        found = adapted.tail(point.to(adapted.phi), features)
        outputs = _moved(found)
        if outputs is None:
            return torch.ones(spec.dim)
        numbers += len(outputs) if isinstance(found, list) else len(block)
        for _ in range(_MOST_DIRECTIONS // 2):
            signs = 2.0 * torch.randint(2, outputs.shape, generator=generator).to(outputs) - 1
            (slope,) = torch.autograd.grad((outputs * signs).sum(), point, retain_graph=True)
            total += slope.square() / (_MOST_DIRECTIONS // 2) / count
    if numbers != count:
        total *= count / numbers
    for slot in spec.slots:
        if slot.role == "shift":  # shifts move their own score alike: the mean over classes is a better estimate
            total[spec.slice_of(slot.name)] = total[spec.slice_of(slot.name)].mean()
    return total


def _moved(outputs: Any) -> Tensor | None:
    """The numbers of outputs that follow phi: of several tensors or records as one row, of detections their scores."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.requires_grad else None
    if isinstance(outputs, list) and all(isinstance(one, Mapping) and "scores" in one for one in outputs):
        outputs = [one["scores"] for one in outputs]
    found: list[Tensor] = []
    nests.mapped(found.append, outputs)
    smooth = [one.reshape(-1).float() for one in found if one.requires_grad and one.numel()]
    return torch.cat(smooth) if smooth else None
