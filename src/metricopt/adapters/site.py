"""Places in a model where phi may enter, and how to choose among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from torch import nn

from .._errors import AdapterError, ConfigError


@dataclass(frozen=True, kw_only=True)
class Site:
    """One module of the model, and what the probe batch showed about it.

    `name` is the module's path; the root is `""`. `order` is its place in order of execution,
    `fires` how often it runs per forward (0: never, 2 or more: a shared module), `output_shape` the
    shape of its first output, None where that is no tensor. `source` names the Linear or convolution
    whose output *is* the output of this site, untouched, where there is one.
    """

    name: str
    module: nn.Module
    aliases: tuple[str, ...] = ()
    order: int = 0
    fires: int = 0
    output_shape: tuple[int, ...] | None = None
    source: Site | None = None

    @property
    def label(self) -> str:
        """Name and type, for messages."""
        return f"{self.name or '(root)'}: {type(self.module).__name__}"


_One: TypeAlias = str | type | Callable[[Site], bool]

#: A name pattern (as in a shell: `layer?.*`), a module type, a predicate, or a tuple of these.
Where: TypeAlias = _One | Sequence[_One]
#: One of these for all adapters, or one for each kind of adapter; None where each adapter chooses.
Places: TypeAlias = Where | Mapping[str, Where] | None


def matches(site: Site, where: Where) -> bool:
    """Whether `site` is meant by `where`; of a tuple, any part is enough.

    >>> matches(Site(name="layer3.bn", module=nn.BatchNorm2d(4)), "layer?.bn")
    True
    >>> matches(Site(name="layer3.bn", module=nn.BatchNorm2d(4)), (nn.Linear, "layer1.*"))
    False
    """
    if isinstance(where, str):
        return any(fnmatchcase(name, where) for name in (site.name, *site.aliases))
    if isinstance(where, type):
        return isinstance(site.module, where)
    if callable(where):
        return bool(where(site))
    if isinstance(where, Sequence):
        return any(matches(site, part) for part in where)
    raise ConfigError(
        f"where must be a name pattern, a module type, a function of a Site, or a tuple of these; got {where!r}"
    )


def where_of(kind: str, where: Places) -> Where | None:
    """What `where` says for the adapter `kind`: the entry of a mapping, or `where` itself."""
    return where.get(kind) if isinstance(where, Mapping) else where


def candidates(sites: Sequence[Site], types: tuple[type[Any], ...], where: Where | None, kind: str) -> list[Site]:
    """The sites of `types` that `where` names, all of which fired on the probe batch.

    Without `where` those that never fire are left out. With it they are an error: they were asked for.

    Raises:
        AdapterError: nothing matches, or a site that `where` names never fires.
    """
    fitting = [site for site in sites if isinstance(site.module, types)]
    if where is None:
        return [site for site in fitting if site.fires]
    named = [site for site in fitting if matches(site, where)]
    if not named:
        raise AdapterError(f"{kind}: no site matches where={where!r}. {listing(fitting)}")
    silent = [site for site in named if not site.fires]
    if silent:
        raise AdapterError(
            f"{kind}: the site {silent[0].label} matches where={where!r} but its hook never fires on the probe batch "
            "(its parent reads its weights without calling it, or this input does not reach it). "
            f"Choose among the others. {listing([site for site in fitting if site.fires])}"
        )
    return named


def listing(sites: Sequence[Site]) -> str:
    """`There are: name: Type, ...`, for messages."""
    if not sites:
        return "This model has no site that fits."
    return "There are: " + ", ".join(site.label for site in sites)
