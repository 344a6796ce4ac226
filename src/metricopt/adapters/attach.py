"""Putting adapters on a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .._checks import at_least
from .._errors import AdapterError, ConfigError
from .adapted_model import AdaptedModel, is_adapted
from .adapter import Adapter
from .layout import Chosen, make_layout
from .probe import Inputs, cloned, find_sites
from .projection import Projected
from .site import Places, Site, candidates, listing, where_of


def attach(
    model: nn.Module,
    adapter: Adapter | Projected | Sequence[Adapter | Projected],
    *,
    where: Places = None,
    dim: int | None = None,
    probe: Inputs,
    seed: int = 0,
) -> AdaptedModel:
    """Freeze `model` and let one vector phi, zeros at first, into it.

    Args:
        model: any module. Its modules, weights and state-dict keys stay as they are.
        adapter: one or several; several share one phi, in order.
        where: which sites. A name pattern, a module type, a function of a `Site`, a tuple of these;
            for several adapters a mapping from adapter kind to one of these, for example
            `{"film": "layer3.*"}`. By default each adapter chooses.
        dim: the size of phi, through one random projection with orthonormal columns in front of all.
        probe: a few inputs: a tensor, a tuple of arguments or a mapping of keywords. The model
            runs on them a few times in eval mode.
        seed: of the random projections.

    Raises:
        AdapterError: nothing matches, a named site never fires, or the model is adapted already.
        ConfigError: `where` or `dim` cannot be used.

    >>> from metricopt.adapters import InputBias, OutputShift
    >>> net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> adapted = attach(net, [InputBias(dim=6), OutputShift()], probe=torch.zeros(2, 5))
    >>> [slot.name for slot in adapted.spec.slots]
    ['0.input_bias.context', 'output_shift.shift', 'output_shift.log_temperature']
    >>> features = adapted.head(torch.zeros(4, 5))
    >>> tuple(adapted.outputs(torch.zeros(3, 8), features).shape)
    (3, 4, 1)
    """
    adapters = [adapter] if isinstance(adapter, Adapter | Projected | type) else list(adapter)
    _check_arguments(model, adapters, where, dim)
    sites = find_sites(model, probe)
    chosen = [Chosen(adapter=one, sites=_select(_plain(one), sites, where)) for one in adapters]
    layout, constants = make_layout(chosen, dim=dim, seed=seed)
    reference = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    # A half-precision phi would lose small steps, so only float64 models get another dtype.
    dtype = torch.float64 if reference.dtype == torch.float64 else torch.float32
    phi = torch.zeros(layout.spec.dim, dtype=dtype, device=reference.device)
    adapted = AdaptedModel(model, layout, constants, phi=phi)
    _look_inside(adapted, probe)
    return adapted


def _plain(adapter: Adapter | Projected) -> Adapter:
    return adapter.adapter if isinstance(adapter, Projected) else adapter


def _select(adapter: Adapter, sites: Sequence[Site], where: Places) -> list[Site]:
    kind = adapter.kind()
    found = adapter.select(candidates(sites, adapter.types, where_of(kind, where), kind))
    if not found:
        types = ", ".join(t.__name__.strip("_") for t in adapter.types)
        running = [site for site in sites if site.fires]
        raise AdapterError(f"{kind}: none of the modules that run is one of {types}. {listing(running)}")
    return found


def _check_arguments(
    model: nn.Module,
    adapters: Sequence[Adapter | Projected],
    where: Places,
    dim: int | None,
) -> None:
    wrong = next((a for a in adapters if not isinstance(a, Adapter | Projected)), None)
    if wrong is not None or not adapters:
        raise ConfigError(
            f"attach needs one adapter or a list of at least one, got {wrong if adapters else adapters!r}"
        )
    kinds = [_plain(a).kind() for a in adapters]
    if isinstance(where, Mapping):
        unknown = sorted(set(where) - set(kinds))
        if unknown:
            raise ConfigError(f"where names the adapters {unknown}, but those attached are {kinds}")
    elif where is not None and len(adapters) > 1:
        raise ConfigError(
            f"several adapters ({', '.join(kinds)}) need where as a mapping from kind to sites, got {where!r}; "
            f"for example where={{{kinds[0]!r}: {where!r}}}"
        )
    if dim is not None:
        at_least("dim", dim, 1)
        if any(isinstance(a, Projected) for a in adapters):
            raise ConfigError("dim projects all adapters together; give either dim or Projected adapters, not both")
    if any(is_adapted(module) for module in model.modules()):
        raise AdapterError("this model has adapters already; detach them first, or give all adapters in one attach")


def _look_inside(adapted: AdaptedModel, probe: Inputs) -> None:
    """Find what lies in front of phi, and whether the tail changes its features in place: then it works on a copy."""
    modes = {module: module.training for module in adapted.modules()}
    try:
        for module in modes:
            module.training = False
        with torch.inference_mode(False), torch.no_grad():
            adapted._trace(probe)
            features = adapted.head(cloned(probe))
            tensors = [leaf for leaf in tree_leaves(features) if isinstance(leaf, Tensor)]
            before = [tensor._version for tensor in tensors]
            adapted.gives_records = isinstance(adapted.tail(adapted.phi.detach(), features), list)
            adapted._clone_features = before != [tensor._version for tensor in tensors]
    finally:
        for module, mode in modes.items():
            module.training = mode
