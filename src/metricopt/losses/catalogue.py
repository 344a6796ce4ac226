"""Every loss by name, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast, final

from .._registry import Registry
from . import classification, confusion, pairwise, parametric, ranking, retrieval
from .card import LossEntry


@final
class Catalogue(Mapping[str, LossEntry]):
    """Name -> entry. Loss `x` of group `g` is `ENTRY` in `losses/g/x.py`; `losses/g/__init__.py` names it.

    >>> "cross_entropy" in Catalogue()
    True
    """

    def __init__(self) -> None:
        self._modules: Registry[str] = Registry("loss")
        for group in (classification, confusion, pairwise, ranking, retrieval, parametric):
            for name in group.LOSSES:
                self._modules.add(name, f"{group.__name__}.{name}")

    def __getitem__(self, name: str) -> LossEntry:
        return cast(LossEntry, import_module(self._modules[name]).ENTRY)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def group(self, name: str) -> str:
        """The folder that loss `name` lives in."""
        return self._modules[name].split(".")[-2]


LOSSES = Catalogue()
