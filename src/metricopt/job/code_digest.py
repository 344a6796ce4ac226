"""Whether a function is still the one that it was: a digest of what it does, not of its name."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..runtime import digest_of_file

_PLAIN = (str, int, float, bool, bytes, complex, type(None))


def digest_of_code(thing: Any) -> str:
    """Sixteen hex digits over bytecode, constants, defaults and what a function calls in its own module.

    State that a call changes (counters, caches) is left out, so that a metric with a cache is still the same metric.
    Files that a command names are read: an edited script is another metric.

    >>> digest_of_code(lambda s, t: 0.5) == digest_of_code(lambda s, t: 0.5) != digest_of_code(lambda s, t: 0.25)
    True
    """
    total = hashlib.blake2b(digest_size=8)
    for part in _parts(thing, set()):
        total.update(part.encode())
        total.update(b"\x1f")
    return total.hexdigest()


def _parts(thing: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(thing, _PLAIN):
        yield repr(thing)
        return
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, types.CodeType):
        yield from _code(thing, seen)
    elif isinstance(thing, types.FunctionType):
        yield from _function(thing, seen)
    elif isinstance(thing, types.MethodType):
        yield from _each((thing.__func__, thing.__self__), seen)
    elif isinstance(thing, functools.partial):
        yield from _each((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, tuple | list | frozenset):
        yield from _each(sorted(thing, key=repr) if isinstance(thing, frozenset) else thing, seen)
    elif isinstance(thing, dict):
        yield from _each([part for item in thing.items() for part in item], seen)
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield type(thing).__qualname__
        values = [getattr(thing, field.name) for field in fields(thing)]
        yield from _each(values, seen)
        yield from (part for value in values if isinstance(value, tuple) for one in value for part in _file(one))
    elif isinstance(thing, Tensor):
        yield repr((tuple(thing.shape), thing.dtype))
    else:
        yield from _object(thing, seen)


def _each(things: Any, seen: set[int]) -> Iterator[str]:
    for thing in things:
        yield from _parts(thing, seen)


def _function(function: types.FunctionType, seen: set[int]) -> Iterator[str]:
    yield from _code(function.__code__, seen)
    yield from _each((function.__defaults__, function.__kwdefaults__), seen)
    changed = {i.argval for i in dis.get_instructions(function.__code__) if i.opname == "STORE_DEREF"}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if name not in changed and isinstance(content, (*_PLAIN, tuple, Callable)):  # type: ignore[arg-type]
            yield from _parts(content, seen)
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, types.FunctionType) and called.__module__ == function.__module__:
            yield from _parts(called, seen)


def _code(code: types.CodeType, seen: set[int]) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    yield from _each(code.co_consts, seen)


def _object(thing: Any, seen: set[int]) -> Iterator[str]:
    """Its class, what calling it does, and the functions and plain values that it wraps under names of their own."""
    kind = thing if isinstance(thing, type) else type(thing)
    yield f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(thing, type) or kind.__module__.split(".")[0] in (
        "torch",
        "numpy",
        "sklearn",
        "torchmetrics",
        "builtins",
    ):
        return
    called = inspect.getattr_static(kind, "__call__", None)
    if isinstance(called, types.FunctionType):
        yield from _parts(called, seen)
    for value in vars(thing).values() if hasattr(thing, "__dict__") else ():
        if isinstance(value, types.FunctionType | functools.partial):
            yield from _parts(value, seen)


def _file(text: Any) -> Iterator[str]:
    if isinstance(text, str) and 0 < len(text) < 1024 and "\0" not in text and Path(text).is_file():
        try:
            yield digest_of_file(text)
        except OSError:
            yield "unreadable"
