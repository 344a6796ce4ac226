"""A table from names to things, with a helpful error for a name that is not in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from ._errors import ConfigError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Read it as a mapping; fill it with `add`. Order of registration is kept.

    Args:
        kind: what it holds, for messages.
        aliases: other names of what is in it: found by `[]` and `in`, not listed.

    >>> r = Registry[int]("number", aliases={"uno": "one"})
    >>> _ = r.add("one", 1)
    >>> r["one"], r["uno"], list(r)
    (1, 1, ['one'])
    """

    def __init__(self, kind: str, *, aliases: Mapping[str, str] = MappingProxyType({})) -> None:
        self.kind, self.aliases = kind, aliases
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        if name in self:
            raise ConfigError(f"there is already a {self.kind} named {name!r}; choose another name")
        self._items[name] = item
        return item

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[self.aliases.get(name, name)]
        except KeyError:
            raise ConfigError(f"no {self.kind} named {name!r}{self._hint(name)}") from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.aliases.get(name, name) in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def close_to(self, name: object) -> str | None:
        """The name or alias that is most like this one."""
        return next(iter(difflib.get_close_matches(str(name), [*self._items, *self.aliases], n=1)), None)

    def _hint(self, name: str) -> str:
        close = self.close_to(name)
        known = ", ".join(self._items)
        return (f"; did you mean {close!r}? There are: " if close else "; there are: ") + known
