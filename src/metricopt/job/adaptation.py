"""Which adapters a model gets when its user does not say: what folds into its weights exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from .._checks import at_least
from .._errors import AdapterError, ConfigError
from .._random import generator
from ..adapters import AdaptedModel, ConditionalNorm, Film, InputBias, LoRA, OutputShift, attach
from ..adapters.adapter import Adapter
from ..adapters.channels import LINEAR_MAPS
from ..adapters.projection import Projected

Adapters: TypeAlias = Literal["auto"] | Adapter | Projected | Sequence[Adapter | Projected]

#: With more classes than this a shift of its own for each is too long a phi for a few hundred metric calls.
MOST_SHIFTS = 64


def adapt(model: nn.Module, adapters: Adapters, *, dim: int, probe: Tensor) -> AdaptedModel:
    """`model` with adapters in it. The model is changed: give a copy.

    "auto" takes an output shift, one number a class, so that a threshold can move, and one adapter inside: an input
    bias, else gains and shifts of channels or norms, else low-rank offsets, whichever fits and folds exactly.

    Args:
        model: in evaluation mode, on its device.
        adapters: "auto", or what `attach` takes.
        dim: the size of phi; with more than `dim - 4` classes phi is longer by the shifts that are needed.
        probe: a few inputs.

    Raises:
        AdapterError: nothing fits; the message says what was tried.
    """
    at_least("dim", dim, 2)
    if isinstance(adapters, Adapter | Projected | list | tuple):
        return attach(model, adapters, probe=probe)
    if adapters != "auto":
        raise ConfigError(f'adapters must be "auto", an adapter or a list of adapters, got {adapters!r}')
    with torch.no_grad():
        scores = model(probe)
    shift = _first_that_folds(model, [[one] for one in _shifts(scores, dim)], probe)
    left = max(dim - sum(_size(model, shift, probe)), 4)
    chosen = _first_that_folds(model, [[body, *shift] for body in _bodies(model, left)], probe) or shift
    if not chosen:
        raise AdapterError(
            "no adapter fits this model so that it folds into its weights: tried an output shift, an input bias, "
            "gains and shifts of channels and norms, low-rank offsets. Name one with adapters=, for example "
            "adapters=[OutputShift(), InputBias(dim=14)]"
        )
    return attach(model, chosen, probe=probe)


def _bodies(model: nn.Module, left: int) -> list[Adapter | Projected]:
    """What may go inside, best first."""
    maps = [module for module in model.modules() if isinstance(module, LINEAR_MAPS)]
    if len(maps) == 1:  # a bias or a gain there would be the output shift once more
        return [LoRA(rank=max(left // maps[0].weight.shape[0], 1))]
    return [
        InputBias(dim=left),
        Projected(adapter=Film(), dim=left),
        Projected(adapter=ConditionalNorm(), dim=left),
        Projected(adapter=LoRA(), dim=left),
    ]


def _shifts(scores: Any, dim: int) -> list[Adapter | Projected]:
    if not isinstance(scores, Tensor) or scores.dim() > 2:
        return []
    classes = scores.shape[1] if scores.dim() == 2 else 1
    return [OutputShift()] if classes <= MOST_SHIFTS else [Projected(adapter=OutputShift(), dim=max(dim // 2, 1))]


def _first_that_folds(
    model: nn.Module, choices: Sequence[list[Adapter | Projected]], probe: Tensor
) -> list[Adapter | Projected]:
    """The first list of adapters that fits and folds; an empty one where none does."""
    for choice in choices:
        try:
            adapted = attach(copy.deepcopy(model), choice, probe=probe)
            phi = torch.randn(adapted.spec.dim, generator=generator("does it fold")).to(adapted.phi)
            adapted.merged(0.01 * phi)
        except (AdapterError, ConfigError):  # it does not fit, does not fold, or has fewer numbers than asked for
            continue
        if not _runs_in_populations(adapted, phi, probe):
            continue
        return choice
    return []


def _runs_in_populations(adapted: AdaptedModel, phi: Tensor, probe: Tensor) -> bool:
    """Whether several phis go through the model with gradients."""
    phis = torch.stack([phi, torch.zeros_like(phi)]).requires_grad_()
    try:
        adapted.outputs(phis, adapted.head(probe)).sum().backward()
    except RuntimeError:  # a kernel without a gradient, or a model that cuts the graph
        return False
    return True


def _size(model: nn.Module, chosen: list[Adapter | Projected], probe: Tensor) -> list[int]:
    return [attach(copy.deepcopy(model), chosen, probe=probe).spec.dim] if chosen else []
