"""Every loss by name, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast, final

from .._registry import Registry
from . import classification, confusion, pairwise, parametric, ranking, regression, retrieval
from .card import LossEntry


@final
class Catalogue(Mapping[str, LossEntry]):
    """Name -> entry. Loss `x` of group `g` is `ENTRY` in `losses/g/x.py`, or in the `ENTRIES` of a file that several
    share; `losses/g/__init__.py` names it. `add` takes a loss of one's own.

    >>> "cross_entropy" in Catalogue()
    True
    """

    def __init__(self) -> None:
        self._modules: Registry[str] = Registry("loss")
        self._own: dict[str, LossEntry] = {}
        for group in (classification, confusion, pairwise, ranking, retrieval, regression, parametric):
            files = getattr(group, "FILES", {})
            for name in group.LOSSES:
                self._modules.add(name, f"{group.__name__}.{files.get(name, name)}")

    def add(self, entry: LossEntry) -> LossEntry:
        """Register a loss of one's own under the name of its card: `get_loss`, `for_metric` and `optimize` then know
        it.

        Raises: ConfigError where there is a loss of that name.
        """
        self._modules.add(entry.card.name, "metricopt.losses.own")
        self._own[entry.card.name] = entry
        return entry

    def __getitem__(self, name: str) -> LossEntry:
        path = self._modules[name]
        if name in self._own:
            return self._own[name]
        module = import_module(path)
        entries: dict[str, LossEntry] = getattr(module, "ENTRIES", {})
        return entries[name] if name in entries else cast(LossEntry, module.ENTRY)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def group(self, name: str) -> str:
        """The folder that loss `name` lives in; "own" for those that were added."""
        return "own" if name in self._own else self._modules[name].split(".")[-2]


LOSSES = Catalogue()
