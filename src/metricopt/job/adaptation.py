"""Which adapters a model gets when its user does not say: a table, and what folds into its weights exactly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from .._checks import at_least
from .._errors import AdapterError, ConfigError
from .._random import generator
from ..adapters import AdaptedModel, ConditionalNorm, Film, InputBias, LoRA, OutputShift, Site, attach, find_sites
from ..adapters.adapter import Adapter
from ..adapters.channels import CONVOLUTIONS, LINEAR_MAPS, NORMS, channel_shape
from ..adapters.projection import Projected
from ..adapters.site import Places
from ..workload import OutputKind

Adapters: TypeAlias = Literal["auto"] | Adapter | Projected | Sequence[Adapter | Projected]

#: With more classes than this a shift of its own for each is too long a phi for a few hundred metric calls.
MOST_SHIFTS = 64
#: Norms of the last blocks of a transformer: two a block.
_LAST_NORMS = 4
#: Outputs that a shift changes the meaning of: a label, or a value.
_SHIFTED: frozenset[OutputKind] = frozenset({"binary", "multiclass", "multilabel", "values", "positions"})


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of the table: what models of a kind get inside.

    Args:
        name: of the architecture.
        fits: whether a model with these sites, those that run, belongs to it.
        sites: which of them are adapted.
        adapters: what is put there, best first, for so many numbers that are left of `dim`.
        why: one sentence. The gains are in docs/results/default-adapters.md.
    """

    name: str
    fits: Callable[[Sequence[Site]], bool]
    sites: Callable[[Sequence[Site]], list[Site]]
    adapters: Callable[[int], list[Adapter | Projected]]
    why: str


def _projected(adapter: Adapter) -> Callable[[int], list[Adapter | Projected]]:
    return lambda left: [Projected(adapter=adapter, dim=left), adapter]


def _holds(*types: type[Any]) -> Callable[[Sequence[Site]], bool]:
    return lambda sites: any(isinstance(site.module, types) for site in sites)


def _attends(sites: Sequence[Site]) -> bool:
    return any("attention" in type(site.module).__name__.lower() for site in sites)


def _last_stage(sites: Sequence[Site]) -> list[Site]:
    """Norms with the shape of the last convolution's output, or the convolutions where there are none."""
    last = [site for site in sites if isinstance(site.module, CONVOLUTIONS)][-1]
    stage = [site for site in sites if site.output_shape == last.output_shape]
    norms = [site for site in stage if isinstance(site.module, NORMS)]
    return norms or [site for site in stage if isinstance(site.module, CONVOLUTIONS)]


def _last_norms(sites: Sequence[Site]) -> list[Site]:
    return [site for site in sites if isinstance(site.module, NORMS)][-_LAST_NORMS:]


def _behind_recurrence(sites: Sequence[Site]) -> list[Site]:
    """Linear layers behind the last recurrent one but for the very last, whose bias is the output shift."""
    last = max(place for place, site in enumerate(sites) if isinstance(site.module, nn.RNNBase))
    return [site for site in sites[last:] if isinstance(site.module, nn.Linear)][:-1]


#: In order: the first family that fits.
FAMILIES: tuple[Family, ...] = (
    Family(
        name="recurrent net",
        fits=_holds(nn.RNNBase),
        sites=_behind_recurrence,
        adapters=lambda left: [InputBias(dim=left)],
        why="recurrent weights cannot hold a gain of their output; the next layer's bias can, and the rest is cached",
    ),
    Family(
        name="transformer",
        fits=_attends,
        sites=_last_norms,
        adapters=_projected(ConditionalNorm()),
        why="gains and shifts of the norms of the last blocks; the blocks before them are computed once",
    ),
    Family(
        name="conv net",
        fits=_holds(*CONVOLUTIONS),
        sites=_last_stage,
        adapters=_projected(Film()),
        why="gains and shifts of the channels of the last stage; the stages before it are computed once",
    ),
)


def adapt(
    model: nn.Module,
    adapters: Adapters,
    *,
    dim: int,
    probe: Any,
    kind: OutputKind = "multiclass",
    where: Places = None,
) -> AdaptedModel:
    """`model` with adapters in it. The model is changed: give a copy.

    "auto" takes an output shift where scores decide labels or are values, one number a class, so that a threshold can
    move, and one adapter inside: what `FAMILIES` says for the architecture, else an input bias, else gains and shifts
    of channels or norms, else low-rank offsets, whichever fits and folds exactly. Modules that run several times or
    share their weights with others are left alone.

    Args:
        model: in evaluation mode, on its device.
        adapters: "auto", or what `attach` takes.
        dim: the size of phi; with more than `dim - 4` classes phi is longer by the shifts that are needed.
        probe: a few inputs.
        kind: what the outputs are.
        where: for adapters that are named, as `attach` takes it.

    Raises:
        ConfigError: `where` without named adapters.
        AdapterError: nothing fits; the message says what was tried.
    """
    at_least("dim", dim, 2)
    if isinstance(adapters, Adapter | Projected | list | tuple):
        return attach(model, adapters, where=where, probe=probe)
    if adapters != "auto":
        raise ConfigError(f'adapters must be "auto", an adapter or a list of adapters, got {adapters!r}')
    if where is not None:
        raise ConfigError(
            'adapters="auto" chooses where they go, too; name them, for example adapters=metricopt.Film(), '
            f"where={where!r}"
        )
    sites = [site for site in find_sites(model, probe) if site.fires]
    shift = _first_that_folds(model, [(shifts, {}) for shifts in _shifts(sites[-1], dim, kind)], probe)
    left = max(dim - sum(_size(model, shift, probe)), 4)
    choices = [([body, *shift[0]], where) for body, where in _bodies(model, sites, left)]
    chosen = _first_that_folds(model, choices, probe)
    if not chosen[0]:
        chosen = shift
    if not chosen[0]:
        raise AdapterError(
            "no adapter fits this model so that it folds into its weights: tried an output shift, an input bias, "
            "gains and shifts of channels and norms, low-rank offsets. Name one with adapters=, for example "
            "adapters=[OutputShift(), InputBias(dim=14)]"
        )
    return attach(model, chosen[0], where=chosen[1] or None, probe=probe)


#: Adapters, and where they go if not everywhere.
_Choice: TypeAlias = tuple[list[Adapter | Projected], dict[str, Any]]


def _bodies(model: nn.Module, sites: Sequence[Site], left: int) -> list[tuple[Adapter | Projected, dict[str, Any]]]:
    """What may go inside, best first."""
    free = _unshared(model, sites)
    maps = [site for site in free if isinstance(site.module, LINEAR_MAPS)]
    family = next((one for one in FAMILIES if one.fits(sites)), None)
    found: list[tuple[Adapter | Projected, dict[str, Any]]] = []
    if family is not None:
        names = {site.name for site in family.sites(sites)} & {site.name for site in free}
        if names:
            for one in family.adapters(left):
                found.append((one, {_kind_of(one): lambda site: site.name in names}))
    names_of_free = {site.name for site in free}

    def only_free(one: Adapter | Projected) -> tuple[Adapter | Projected, dict[str, Any]]:
        return one, {_kind_of(one): lambda site: site.name in names_of_free}

    if len(maps) == 1:  # a bias or a gain there would be the output shift once more
        return [*found, only_free(LoRA(rank=max(left // channel_shape(maps[0].module)[0], 1)))]
    plain: list[Adapter] = [Film(), ConditionalNorm(), LoRA()]
    everywhere: list[Adapter | Projected] = [InputBias(dim=left), *(Projected(adapter=one, dim=left) for one in plain)]
    return found + [only_free(one) for one in everywhere]


def _kind_of(one: Adapter | Projected) -> str:
    return (one.adapter if isinstance(one, Projected) else one).kind()


def _unshared(model: nn.Module, sites: Sequence[Site]) -> list[Site]:
    """Sites that run once and share no weight: what is folded into them changes nothing else."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return [
        site
        for site in sites
        if site.fires == 1
        and not site.aliases
        and all(owners[id(parameter)] == 1 for parameter in site.module.parameters(recurse=False))
    ]


def _shifts(root: Site, dim: int, kind: OutputKind) -> list[list[Adapter | Projected]]:
    shape = root.output_shape
    if shape is None or kind not in _SHIFTED or (len(shape) > 2) != (kind == "positions"):
        return []
    classes = OutputShift().shapes(root)["shift"][0]
    return [[OutputShift()] if classes <= MOST_SHIFTS else [Projected(adapter=OutputShift(), dim=max(dim // 2, 1))]]


def _first_that_folds(model: nn.Module, choices: Sequence[_Choice], probe: Any) -> _Choice:
    """The first adapters that fit and fold; none where none do."""
    for choice, where in choices:
        try:
            adapted = attach(copy.deepcopy(model), choice, where=_anywhere(where, choice), probe=probe)
            phi = torch.randn(adapted.spec.dim, generator=generator("does it fold")).to(adapted.phi)
            adapted.merged(0.01 * phi)
        except (AdapterError, ConfigError):  # it does not fit, does not fold, or has fewer numbers than asked for
            continue
        if _runs_in_populations(adapted, phi, probe):
            return choice, where
    return [], {}


def _anywhere(where: Mapping[str, Any], choice: Sequence[Any]) -> Mapping[str, Any] | None:
    return where if where and choice else None


def _runs_in_populations(adapted: AdaptedModel, phi: Tensor, probe: Any) -> bool:
    """Whether several phis go through the model with gradients, or it gives records."""
    phis = torch.stack([phi, torch.zeros_like(phi)]).requires_grad_()
    try:
        outputs = adapted.outputs(phis, adapted.head(probe))
        if isinstance(outputs, Tensor):
            outputs.sum().backward()
    except RuntimeError:  # a kernel without a gradient, or a model that cuts the graph
        return False
    return True


def _size(model: nn.Module, chosen: _Choice, probe: Any) -> list[int]:
    return [attach(copy.deepcopy(model), chosen[0], probe=probe).spec.dim] if chosen[0] else []
