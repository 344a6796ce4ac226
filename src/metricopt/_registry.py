"""A table from names to things, with a helpful error for a name that is not in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from ._errors import ConfigError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Read it as a mapping; fill it with `add`. Order of registration is kept.

    >>> r = Registry[int]("number")
    >>> _ = r.add("one", 1)
    >>> r["one"]
    1
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        if name in self._items:
            raise ConfigError(f"there is already a {self.kind} named {name!r}; choose another name")
        self._items[name] = item
        return item

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise ConfigError(f"no {self.kind} named {name!r}{self._hint(name)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def _hint(self, name: str) -> str:
        close = difflib.get_close_matches(str(name), self._items, n=1)
        known = ", ".join(self._items)
        return (f"; did you mean {close[0]!r}? There are: " if close else "; there are: ") + known
